"""Operators that move elements, against ONNX Runtime on random shapes."""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node_call import Call, compare, main, noise, numbers, pick, randint, rng

TYPES = (np.float32, np.float64, np.int64, np.int32, np.uint8, np.float16,
         np.bool_)
ROUNDS = 25


def some_shape(low=1, high=4, most=7, least=1):
    return tuple(randint(least, most) for _ in range(randint(low, high)))


def i64(*values):
    return np.array(values, np.int64)


def slice_matches():
    for _ in range(4 * ROUNDS):
        x = numbers(some_shape(least=0), pick(*TYPES))
        n = randint(1, x.ndim)
        axes = rng.permutation(x.ndim)[:n]
        starts, ends, steps, named = [], [], [], []
        for a in axes:
            starts.append(randint(-9, 9))
            steps.append(pick(1, 1, 2, 3, -1, -2, 100))
            # ONNX Runtime takes the largest number for "to the end" in both
            # directions, the specification the smallest one backwards.
            far = 2**63 - 1 if steps[-1] > 0 else -2**63 + 1
            ends.append(pick(randint(-9, 9), far, 100))
            named.append(int(a) - pick(0, x.ndim))
        dtype = pick(np.int64, np.int32)
        if dtype == np.int32:
            ends = [max(min(e, 2**31 - 1), -2**31 + 1) for e in ends]
        lists = [np.array(v, dtype) for v in (starts, ends, named, steps)]
        if x.dtype == np.float16:
            x = x.astype(np.float32)
        compare(Call("Slice", [x] + lists, opset=13,
                     constants=pick((), (1, 2, 3, 4))))


def transpose_matches():
    for _ in range(3 * ROUNDS):
        x = numbers(some_shape(1, 6, 6), pick(*TYPES))
        perm = [int(a) for a in rng.permutation(x.ndim)]
        compare(Call("Transpose", [x], perm=pick(perm, None)))
    for shape in ((3, 67, 131), (67, 131, 3), (1, 256, 33), (2, 5, 64, 64)):
        for dtype in (np.float32, np.uint8, np.int64, np.float16):
            x = numbers(shape, dtype)
            if x.ndim == 4:
                perms = ([0, 2, 3, 1], [0, 3, 1, 2], [3, 2, 1, 0])
            else:
                perms = ([0, 2, 1], [1, 0, 2], [2, 1, 0], [2, 0, 1])
            for perm in perms:
                compare(Call("Transpose", [x], perm=perm))


def concat_and_split_match():
    for _ in range(ROUNDS):
        shape = list(some_shape())
        axis = randint(0, len(shape) - 1)
        dtype = pick(*TYPES)
        parts = []
        for _ in range(randint(1, 5)):
            shape[axis] = randint(0, 5)
            parts.append(numbers(shape, dtype))
        call = Call("Concat", parts, axis=axis - pick(0, len(shape)))
        compare(call, [np.concatenate(parts, axis)])
        whole = np.concatenate(parts, axis)
        if whole.dtype in (np.float16, np.bool_):
            continue
        sizes = i64(*(p.shape[axis] for p in parts))
        compare(Call("Split", [whole, sizes], len(parts), axis=axis,
                     constants=(1,), opset=13), parts)
        pieces = randint(1, 4)
        if whole.shape[axis] >= pieces * pieces:
            compare(Call("Split", [whole], pieces, axis=axis, opset=18,
                         num_outputs=pieces))


def pad_matches():
    for _ in range(4 * ROUNDS):
        mode = pick("constant", "reflect", "edge", "wrap")
        x = numbers(some_shape(1, 4, 6, 2), pick(np.float32, np.int64))
        pads = [randint(0, 2 if mode == "reflect" else 4)
                for _ in range(2 * x.ndim)]
        if mode == "reflect":
            pads = [min(p, x.shape[i % x.ndim] - 1)
                    for i, p in enumerate(pads)]
        value = numbers((), x.dtype) if mode == "constant" else None
        width = [(pads[i], pads[x.ndim + i]) for i in range(x.ndim)]
        more = {"constant_values": value} if value is not None else {}
        want = np.pad(x, width, mode=mode, **more)
        inputs = [x, i64(*pads), value]
        if pick(0, 1):
            axes = [int(a) for a in rng.permutation(x.ndim)]
            inputs[1] = i64(*(pads[a] for a in axes),
                            *(pads[x.ndim + a] for a in axes))
            inputs.append(i64(*axes))
        compare(Call("Pad", inputs, mode=mode, opset=19, constants=(1,)),
                [want])
    for _ in range(ROUNDS):  # cropping
        x = noise(*some_shape(1, 3, 9, 5))
        pads = i64(*(randint(-2, 3) for _ in range(2 * x.ndim)))
        compare(Call("Pad", [x, pads], opset=13))


def tile_and_expand_match():
    for _ in range(ROUNDS):
        x = numbers(some_shape(), pick(np.float32, np.int64, np.uint8))
        repeats = i64(*(randint(0, 3) for _ in range(x.ndim)))
        compare(Call("Tile", [x, repeats]))
        shape = [pick(1, d) for d in x.shape]
        narrow = numbers(shape, np.float32)
        want = [randint(1, 3)] * pick(0, 1) + list(x.shape)
        compare(Call("Expand", [narrow, i64(*want)]))


def gathers_match():
    for _ in range(2 * ROUNDS):
        x = numbers(some_shape(), pick(np.float32, np.int64, np.uint8))
        axis = randint(0, x.ndim - 1)
        kind = pick(np.int64, np.int32)
        n = x.shape[axis]
        index = rng.integers(-n, n, some_shape(0, 2)).astype(kind)
        compare(Call("Gather", [x, index], axis=axis))
        shape = [randint(1, d) for d in x.shape]
        shape[axis] = randint(1, 6)
        index = rng.integers(-n, n, shape).astype(kind)
        compare(Call("GatherElements", [x, index], axis=axis))
        batch = randint(0, x.ndim - 1)
        depth = randint(1, x.ndim - batch)
        lead = list(x.shape[:batch]) + [randint(1, 4)] * pick(0, 1)
        index = np.stack([rng.integers(-x.shape[batch + d],
                                       x.shape[batch + d], lead)
                          for d in range(depth)], -1).astype(np.int64)
        compare(Call("GatherND", [x, index], batch_dims=batch))


def scatters_match():
    for _ in range(2 * ROUNDS):
        x = numbers(some_shape(), pick(np.float32, np.int64, np.float64))
        axis = randint(0, x.ndim - 1)
        n = x.shape[axis]
        shape = [randint(1, d) for d in x.shape]
        reduction = pick("none", "add", "mul", "max", "min")
        if reduction == "none":  # the order of doubles is left open
            lines = np.argsort(rng.random(x.shape), axis)
            index = lines[tuple(slice(0, s) for s in shape)]
        else:
            index = rng.integers(-n, n, shape)
        updates = numbers(index.shape, x.dtype)
        compare(Call("ScatterElements", [x, index.astype(np.int64), updates],
                     axis=axis, reduction=reduction, opset=18))
        depth = randint(1, x.ndim)
        flat = rng.permutation(int(np.prod(x.shape[:depth])))
        flat = flat[:randint(1, len(flat))]
        index = np.stack(np.unravel_index(flat, x.shape[:depth]), -1)
        updates = numbers((len(flat),) + x.shape[depth:], x.dtype)
        compare(Call("ScatterND", [x, index.astype(np.int64), updates],
                     reduction=reduction, opset=18))


def depth_and_space_match():
    for _ in range(ROUNDS):
        b = randint(1, 3)
        n, c, h, w = randint(1, 2), randint(1, 3), randint(1, 5), randint(1, 5)
        for mode in ("DCR", "CRD"):
            compare(Call("DepthToSpace", [noise(n, c * b * b, h, w)],
                         blocksize=b, mode=mode))
        compare(Call("SpaceToDepth", [noise(n, c, h * b, w * b)],
                     blocksize=b))


def shapes_match():
    for _ in range(ROUNDS):
        x = noise(*some_shape(2, 5))
        total = x.size
        compare(Call("Reshape", [x, i64(0, -1)]))
        compare(Call("Reshape", [x, i64(-1, total, 1)]))
        compare(Call("Flatten", [x], axis=randint(-x.ndim, x.ndim)))
        axes = sorted({randint(0, x.ndim) for _ in range(2)})
        compare(Call("Unsqueeze", [x, i64(*axes)]))
        compare(Call("Squeeze", [x.reshape(1, *x.shape, 1)]),
                [x.squeeze()])
        compare(Call("Shape", [x], start=randint(-7, 7), end=randint(-7, 7),
                     opset=15))
        compare(Call("Size", [x]))
    # An empty batch: the copied zero stands on both sides of -1.
    x = np.zeros((0, 3, 4), np.float32)
    compare(Call("Reshape", [x, i64(0, -1)]), [np.zeros((0, 12), np.float32)])


def selections_match():
    for _ in range(2 * ROUNDS):
        x = numbers(some_shape(), pick(np.float32, np.int64, np.bool_), -2, 2)
        compare(Call("NonZero", [x]))
        axis = pick(None, randint(0, x.ndim - 1))
        n = x.size if axis is None else x.shape[axis]
        keep = rng.integers(0, 2, randint(0, n)).astype(np.bool_)
        compare(Call("Compress", [x, keep], axis=axis))
        if x.dtype != np.bool_:
            x = numbers(some_shape(1, 3, 4), x.dtype, -1, 1).round()
            axis = pick(None, randint(0, x.ndim - 1))
            compare(Call("Unique", [x], 4, axis=axis, more={
                "sorted": randint(0, 1)}))


def reverse_sequence_matches():
    for _ in range(ROUNDS):
        x = noise(*some_shape(2, 4))
        time = randint(0, 1)
        lens = rng.integers(1, x.shape[time], x.shape[1 - time],
                            endpoint=True)
        compare(Call("ReverseSequence", [x, lens], time_axis=time,
                     batch_axis=1 - time))


def fills_match():
    for _ in range(ROUNDS):
        x = noise(*some_shape(2, 4))
        k = np.array(randint(-5, 5), np.int64)
        compare(Call("Trilu", [x, k], upper=randint(0, 1), opset=14))
        compare(Call("EyeLike", [noise(randint(1, 5), randint(1, 5))],
                     k=randint(-6, 6), dtype=pick(None, 7, 11)))
        depth = randint(1, 6)
        index = rng.integers(-depth - 2, depth + 2, some_shape(1, 3))
        axis = randint(-index.ndim - 1, index.ndim)
        compare(Call("OneHot", [index, np.array(depth, np.int64),
                                np.array([2, 5], np.float32)], axis=axis))
        start, limit = randint(-20, 20), randint(-20, 20)
        delta = pick(1, 2, -1, -3)
        for dtype in (np.int64, np.int32, np.float32, np.float64):
            given = [np.array(v, dtype) for v in (start, limit, delta)]
            compare(Call("Range", given))
        compare(Call("Range", [np.array(v, np.float32)
                               for v in (0.5, 7.25, 0.3)]))


def center_crop_pad_matches():
    for _ in range(ROUNDS):
        x = noise(*some_shape(1, 4))
        axes = [int(a) for a in rng.permutation(x.ndim)[:randint(1, x.ndim)]]
        # The reference takes a size that equals its axis' number for a
        # request to leave the axis alone.
        sizes = [randint(5, 9) for _ in axes]
        call = Call("CenterCropPad", [x, i64(*sizes)], axes=axes, opset=18)
        compare(call, call.reference())


if __name__ == "__main__":
    sys.exit(main(globals()))
