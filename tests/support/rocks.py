"""Reads and changes a stopped program's RocksDB through the C API of the installed library, to make what no program of this version writes."""
import contextlib
import ctypes
import ctypes.util
import types

_size = ctypes.c_size_t
_library = ctypes.CDLL(ctypes.util.find_library("rocksdb"))
for _name in ("options_create", "list_column_families", "open_column_families", "writeoptions_create", "readoptions_create", "get_cf",
              "create_iterator_cf", "iter_key"):
    getattr(_library, f"rocksdb_{_name}").restype = ctypes.c_void_p


def _call(name, *arguments):
    error = ctypes.c_char_p()
    result = getattr(_library, f"rocksdb_{name}")(*arguments, ctypes.byref(error))
    if error.value:
        raise OSError(error.value.decode())
    return result


@contextlib.contextmanager
def opened(directory):
    """Functions over one directory: get, put and delete of a column family's name and a key, and of a new value; keys of such a name."""
    path = str(directory).encode()
    options = ctypes.c_void_p(_library.rocksdb_options_create())
    count = _size()
    listed = ctypes.cast(_call("list_column_families", options, path, ctypes.byref(count)), ctypes.POINTER(ctypes.c_char_p))
    names = [listed[i] for i in range(count.value)]
    handles = (ctypes.c_void_p * len(names))()
    store = ctypes.c_void_p(_call("open_column_families", options, path, len(names), (ctypes.c_char_p * len(names))(*names),
                                  (ctypes.c_void_p * len(names))(*[options.value] * len(names)), handles))
    family = {name.decode(): ctypes.c_void_p(handle) for name, handle in zip(names, handles)}
    reading, writing = (ctypes.c_void_p(getattr(_library, f"rocksdb_{kind}options_create")()) for kind in ("read", "write"))

    def get(name, key):
        size = _size()
        value = _call("get_cf", store, reading, family[name], key, _size(len(key)), ctypes.byref(size))
        return ctypes.string_at(value, size.value) if value else None

    def put(name, key, value):
        _call("put_cf", store, writing, family[name], key, _size(len(key)), value, _size(len(value)))

    def delete(name, key):
        _call("delete_cf", store, writing, family[name], key, _size(len(key)))

    def keys(name):
        iterator = ctypes.c_void_p(_library.rocksdb_create_iterator_cf(store, reading, family[name]))
        found, size = [], _size()
        _library.rocksdb_iter_seek_to_first(iterator)
        while _library.rocksdb_iter_valid(iterator) & 0xff:  # an unsigned char
            key = _library.rocksdb_iter_key(iterator, ctypes.byref(size))
            found.append(ctypes.string_at(key, size.value))
            _library.rocksdb_iter_next(iterator)
        _library.rocksdb_iter_destroy(iterator)
        return found

    try:
        yield types.SimpleNamespace(get=get, put=put, delete=delete, keys=keys)
    finally:
        for handle in family.values():
            _library.rocksdb_column_family_handle_destroy(handle)
        _library.rocksdb_close(store)
