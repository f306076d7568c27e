"""Files of frozen networks in memory: their bytes, their parts, headers that lie."""

import json

from densa import _core


def file_bytes(predictor):
    header, arena = _core.predictor_file(predictor, {"structure": "[null,null]"})
    return header + arena.tobytes()


def read(data, check=True):
    return _core.read_predictor(bytes(data), check)[0]


def parts(data):
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    return header, json.loads(header["__metadata__"]["net"]), data[8 + length :]


def whole(header, net, arena, text=None):
    header = json.loads(json.dumps(header))
    header["__metadata__"]["net"] = json.dumps(net) if text is None else text
    front = json.dumps(header, separators=(",", ":")).encode()
    front += b" " * (-(8 + len(front)) % 64)
    return len(front).to_bytes(8, "little") + front + arena


def edited(small, change):
    header, net, arena = parts(small)
    change(header, net)
    return whole(header, net, arena)


def put(path, value):
    """A change of one entry of the net."""

    def change(header, net):
        at = net
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value

    return change
