"""What an operator does to a cluster meanwhile: shards are moved, moves cancelled, workers drained, fetched back, forgotten and added."""
import zmq

ASK_S = 5  # a broker that is killed answers nothing
OVER = ("cleaning", "done", "cancelled", "failed")


class Changes:
    """By one thread, which knows when the broker is up. What the broker denies is told, and nothing is made of it."""

    def __init__(self, machines, chance, least, most):
        self.machines, self.chance, self.least, self.most = machines, chance, least, most

    def admin(self, *words):
        """The JSON of the answer; None when it was denied, or nobody answered."""
        try:
            status, answer = self.machines.admin(*words, timeout_s=ASK_S)
        except zmq.Again:
            return None
        return answer if status == 0 else None

    def query(self, what):
        try:
            return self.machines.query(what, timeout_s=ASK_S)[what]
        except zmq.Again:
            return []

    def move(self):
        """The number of a move that begins, its source and its target; None."""
        shards = [shard for shard in self.query("shards") if shard["state"] == "serving"]
        self.chance.shuffle(shards)
        for shard in shards:
            others = [name for name in self.machines.workers if name != shard["worker"]]
            target = self.chance.choice(others)
            answer = self.admin("move", str(shard["shard"]), target)
            if answer:
                return answer["move"], shard["worker"], target
        return None

    def some_move(self):
        asked = self.move()
        return f"move {asked[0]} to {asked[2]}" if asked else None

    def cancel_move(self):
        moves = [move["move"] for move in self.query("moves") if move["phase"] not in OVER]
        number = self.chance.choice(moves) if moves else None
        return f"cancel move {number}" if moves and self.admin("move", "cancel", str(number)) else None

    def draining(self):
        return [worker for worker in self.query("workers") if worker["state"] in ("draining", "drained") and worker["name"] in self.machines.workers]

    def drain(self):
        if len(self.machines.workers) <= self.least or self.draining():
            return None
        name = self.chance.choice(sorted(self.machines.workers))
        return f"drain {name}" if self.admin("drain", name) else None

    def cancel_drain(self):
        draining = self.draining()
        return f"drain {draining[0]['name']} --cancel" if draining and self.admin("drain", draining[0]["name"], "--cancel") else None

    def join(self):
        if len(self.machines.workers) >= self.most:
            return None
        name = self.machines.next_name()
        self.machines.start_worker(name)
        return f"{name} joins"

    def some(self):
        """One of them; what it was, or None."""
        kind = self.chance.choice([self.some_move, self.some_move, self.some_move, self.cancel_move, self.drain, self.cancel_drain, self.join])
        return kind()

    def retire(self):
        """Workers that are drained leave for good, while all is well; their names."""
        gone = [worker["name"] for worker in self.draining() if worker["state"] == "drained"]
        for name in gone:
            self.machines.workers.pop(name).stop()
            self.machines.wait_stats(lambda _, name=name: self.admin("forget", name))  # once the broker has noticed
        return gone
