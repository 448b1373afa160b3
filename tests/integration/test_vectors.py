"""The vectors in Python: messages.json is what make_vectors.py writes, and MessagePack agrees in both directions."""
import json
import pathlib
import sys
import unittest

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "vectors"
sys.path.insert(0, str(VECTORS))

import make_vectors  # noqa: E402
import msgpack  # noqa: E402

FILE = json.loads((VECTORS / "messages.json").read_text(encoding="ascii"))


class Vectors(unittest.TestCase):
    def test_the_file_is_up_to_date(self):
        built = json.loads(json.dumps({group: make_vectors.to_json(vectors) for group, vectors in make_vectors.build().items()}))
        self.assertEqual(built, FILE)

    def test_arrays_pack_to_their_bytes_and_back(self):
        for group in ("messages", "operations", "results"):
            for vector in FILE[group]:
                with self.subTest(group=group, name=vector["name"]):
                    array = make_vectors.from_json(vector["array"])
                    self.assertEqual(make_vectors.pack(array).hex(), vector["hex"])
                    self.assertEqual(msgpack.unpackb(bytes.fromhex(vector["hex"]), strict_map_key=False), array)

    def test_accepted_forms_mean_the_same_as_the_shortest(self):
        for vector in FILE["accepted_operations"]:
            with self.subTest(name=vector["name"]):
                given, shortest = (msgpack.unpackb(bytes.fromhex(vector[form]), raw=True) for form in ("hex", "shortest"))
                self.assertEqual([field for field in given if field], [field for field in shortest if field])

    def test_names_are_told_apart(self):
        for group, vectors in FILE.items():
            if isinstance(vectors, list):
                names = [vector["name"] for vector in vectors]
                self.assertEqual(len(names), len(set(names)), group)


if __name__ == "__main__":
    unittest.main()
