"""Operators that resample, look at regions or transform, against ONNX Runtime,
ONNX's reference and numpy."""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node_call import Call, compare, main, noise, pick, randint, rng

ROUNDS = 20


def i64(*values):
    return np.array(values, np.int64)


def f32(*values):
    return np.array(values, np.float32)


COORDS = ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")


def resize_by_sizes_matches():
    for _ in range(3 * ROUNDS):
        mode = pick("nearest", "linear", "cubic")
        shape = (randint(1, 2), randint(1, 3), randint(2, 8), randint(2, 8))
        sizes = shape[:2] + (randint(1, 14), randint(1, 14))
        x = noise(*shape)
        coord = pick(*COORDS)
        if mode == "cubic" and coord == "pytorch_half_pixel":
            coord = "half_pixel"
        call = Call("Resize", [x, None, None, i64(*sizes)], mode=mode,
                    coordinate_transformation_mode=coord, opset=18,
                    nearest_mode=pick("round_prefer_floor", "floor",
                                      "round_prefer_ceil", "ceil"),
                    constants=(3,))
        # ONNX Runtime computes positions in float: the nearest pixel of a
        # point between two may be the other one.
        compare(call, call.reference() if mode == "nearest" else None,
                atol=1e-4)


def resize_by_scales_matches():
    for _ in range(2 * ROUNDS):
        mode = pick("nearest", "linear", "cubic")
        shape = (1, randint(1, 3), randint(2, 7), randint(2, 7))
        scales = f32(1, 1, pick(0.5, 2, 3, 1.5), pick(0.5, 2, 1, 2.5))
        compare(Call("Resize", [noise(*shape), None, scales], mode=mode,
                     coordinate_transformation_mode=pick("half_pixel",
                                                         "asymmetric"),
                     opset=13, constants=(2,)), atol=1e-4)
        compare(Call("Upsample", [noise(*shape), f32(1, 1, 2, 3)],
                     mode=pick("nearest", "linear"), opset=9,
                     constants=(1,)), atol=1e-4)
        compare(Call("Resize", [noise(*shape), scales],
                     mode=pick("nearest", "linear"), opset=10,
                     constants=(1,)), atol=1e-4)


def resize_matches_reference():
    """What ONNX Runtime lacks or does otherwise."""
    for _ in range(2 * ROUNDS):
        mode = pick("nearest", "linear", "cubic")
        shape = (1, randint(1, 2), randint(3, 6), randint(3, 6))
        coord = pick(*COORDS[:3], "half_pixel_symmetric")
        anti = 0 if mode == "nearest" else randint(0, 1)
        axes = [2, 3] if randint(0, 1) else [3, 2]
        inputs = [noise(*shape), None, None, i64(randint(1, 9), randint(1, 9))]
        policy = pick("stretch", "not_larger", "not_smaller")
        if randint(0, 1):
            inputs = [inputs[0], None, f32(pick(0.4, 0.6, 1.7, 2.3),
                                           pick(0.5, 0.8, 2.0, 3.1))]
            policy = "stretch"
        call = Call("Resize", inputs, mode=mode, antialias=anti, axes=axes,
                    coordinate_transformation_mode=coord, opset=19,
                    keep_aspect_ratio_policy=policy,
                    exclude_outside=randint(0, 1) if mode == "cubic" else 0,
                    cubic_coeff_a=pick(-0.5, -0.75))
        compare(call, call.reference(), atol=1e-4)


def resize_of_types_matches_reference():
    for dtype in (np.uint8, np.int8, np.int32, np.float64, np.float16):
        for mode in ("nearest", "linear", "cubic"):
            x = rng.integers(0, 100, (1, 1, 4, 5)).astype(dtype)
            call = Call("Resize", [x, None, None, i64(1, 1, 7, 3)], mode=mode,
                        opset=19)
            compare(call, call.reference(), rtol=2e-3, atol=1e-3, steps=1)


def resize_crops_match():
    for _ in range(ROUNDS):
        # With equal sizes ONNX Runtime copies, whatever the region.
        x = noise(1, 2, randint(7, 9), randint(7, 9))
        roi = np.sort(rng.uniform(-0.2, 1.2, (2, 4)), 0).astype(np.float32)
        roi[0, :2], roi[1, :2] = 0, 1
        compare(Call("Resize", [x, roi.ravel(), None,
                                i64(1, 2, randint(2, 6), randint(2, 6))],
                     mode=pick("nearest", "linear"), opset=13,
                     coordinate_transformation_mode="tf_crop_and_resize",
                     extrapolation_value=7.5), atol=1e-4)


def grid_sample_matches():
    for _ in range(3 * ROUNDS):
        space = pick(2, 2, 3)
        x = noise(randint(1, 2), randint(1, 3),
                  *(randint(2, 6) for _ in range(space)))
        grid = rng.uniform(-1.4, 1.4, (x.shape[0], *(
            randint(1, 5) for _ in range(space)), space)).astype(np.float32)
        mode = pick("nearest", "linear") if space == 3 else \
            pick("nearest", "linear", "cubic")
        compare(Call("GridSample", [x, grid], mode=mode, opset=20,
                     padding_mode=pick("zeros", "border", "reflection"),
                     align_corners=randint(0, 1)), atol=1e-4)
    for space in (2, 3):
        for align in (0, 1):
            size = [2, 1] + [randint(2, 5) for _ in range(space)]
            compare(Call("AffineGrid",
                         [noise(2, space, space + 1), i64(*size)],
                         align_corners=align, opset=20, constants=(1,)),
                    atol=1e-4)


def some_boxes(n, size):
    low = rng.uniform(-1, size, (n, 2))
    return np.concatenate([low, low + rng.uniform(0.1, size, (n, 2))],
                          1).astype(np.float32)


def roi_align_matches():
    for _ in range(2 * ROUNDS):
        x = noise(2, randint(1, 3), randint(4, 9), randint(4, 9))
        rois = some_boxes(randint(1, 4), 8)
        index = rng.integers(0, 2, len(rois))
        compare(Call("RoiAlign", [x, rois, index],
                     output_height=randint(1, 4), output_width=randint(1, 4),
                     sampling_ratio=randint(0, 3), mode=pick("avg", "max"),
                     spatial_scale=pick(1.0, 0.5),
                     coordinate_transformation_mode=pick(
                         "half_pixel", "output_half_pixel"), opset=16),
                atol=1e-4)


def max_roi_pool_matches():
    for _ in range(ROUNDS):
        x = noise(2, 2, 8, 8)
        boxes = some_boxes(3, 6)
        rois = np.concatenate([rng.integers(0, 2, (3, 1)), boxes], 1)
        compare(Call("MaxRoiPool", [x, rois.astype(np.float32)],
                     pooled_shape=[randint(1, 3), randint(1, 3)],
                     spatial_scale=pick(1.0, 0.5)))


def non_max_suppression_matches():
    for _ in range(2 * ROUNDS):
        batches, classes, n = randint(1, 2), randint(1, 3), randint(1, 30)
        boxes = np.stack([some_boxes(n, 10) for _ in range(batches)])
        scores = rng.random((batches, classes, n)).astype(np.float32)
        inputs = [boxes, scores, i64(randint(0, 12)),
                  f32(pick(0.1, 0.3, 0.5, 0.9))]
        if randint(0, 1):
            inputs.append(f32(rng.random()))
        compare(Call("NonMaxSuppression", inputs, opset=11,
                     center_point_box=randint(0, 1)))


def fold_and_unpool_match():
    for _ in range(ROUNDS):
        image = [randint(4, 7), randint(4, 7)]
        block = [randint(1, 3), randint(1, 3)]
        strides = [randint(1, 2), randint(1, 2)]
        pads = [randint(0, 1) for _ in range(4)]
        count = 1
        for i in range(2):
            count *= (image[i] + pads[i] + pads[i + 2] - block[i]) \
                // strides[i] + 1
        x = noise(2, 3 * block[0] * block[1], count)
        compare(Call("Col2Im", [x, i64(*image), i64(*block)], strides=strides,
                     pads=pads, opset=18, constants=(1, 2)))
        h, w = randint(2, 5), randint(2, 5)
        big = noise(1, 2, 2 * h, 2 * w)
        pooled, index = Call("MaxPool", [big], 2, kernel_shape=[2, 2],
                             strides=[2, 2], opset=12).theirs()
        compare(Call("MaxUnpool", [pooled, index], kernel_shape=[2, 2],
                     strides=[2, 2], opset=11))
        # ONNX Runtime counts indexes in the larger shape, ONNX does not.
        call = Call("MaxUnpool",
                    [pooled, index, i64(1, 2, 2 * h + 1, 2 * w + 2)],
                    kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0],
                    opset=11, constants=(2,))
        compare(call, call.reference())


def as_pairs(z):
    return np.stack([z.real, z.imag], -1)


def dft_matches_numpy():
    for n in (1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 16, 30, 61, 64, 67, 97, 127,
              128, 134, 360, 997, 1000):
        for dtype in (np.float32, np.float64):
            tight = 1e-9 if dtype == np.float64 else 1e-4
            x = rng.standard_normal((2, n, 3))
            z = (x + 1j * rng.standard_normal((2, n, 3)))
            how = {"rtol": tight, "atol": tight * n ** 0.5}
            real = x.astype(dtype)[..., None]
            pairs = as_pairs(z).astype(dtype)
            axis = np.array(1, np.int64)
            compare(Call("DFT", [real, None, axis], opset=20),
                    [as_pairs(np.fft.fft(x, axis=1)).astype(dtype)], **how)
            compare(Call("DFT", [real, None, axis], opset=20, onesided=1),
                    [as_pairs(np.fft.rfft(x, axis=1)).astype(dtype)], **how)
            compare(Call("DFT", [pairs, None, axis], opset=20, inverse=1),
                    [as_pairs(np.fft.ifft(z, axis=1)).astype(dtype)], **how)
            compare(Call("DFT", [pairs], opset=17, axis=1),
                    [as_pairs(np.fft.fft(z, axis=1)).astype(dtype)], **how)
            longer = np.array(n + 3, np.int64)
            compare(Call("DFT", [pairs, longer, axis], opset=20),
                    [as_pairs(np.fft.fft(z, n + 3, 1)).astype(dtype)], **how)


def stft_matches():
    for _ in range(ROUNDS):
        length, frame = randint(20, 40), pick(4, 8, 16, 5)
        signal = noise(randint(1, 2), length, 1)
        step = np.array(randint(1, 6), np.int64)
        window = pick(None, np.hanning(frame).astype(np.float32))
        size = np.array(frame, np.int64)
        compare(Call("STFT", [signal, step, window, size], opset=17,
                     onesided=randint(0, 1)), atol=1e-4)


def windows_match():
    for op in ("HannWindow", "HammingWindow", "BlackmanWindow"):
        for n in (2, 3, 10, 33):
            for periodic in (0, 1):
                compare(Call(op, [np.array(n, np.int64)], opset=17,
                             periodic=periodic,
                             output_datatype=pick(1, 11)), atol=1e-4)
    for bins, length, rate, low, high in ((8, 16, 8192, 0, 4096),
                                          (20, 256, 16000, 20, 7600)):
        compare(Call("MelWeightMatrix",
                     [i64(bins)[0], i64(length)[0], i64(rate)[0],
                      f32(low)[0], f32(high)[0]], opset=17), atol=1e-4)


def seeded_random_matches_numpy():
    """Seeds mean what they mean in ONNX's reference: RandomState."""
    for seed in (0, 1, 42, 123456):
        state = np.random.RandomState
        want = state(seed).rand(3, 5).astype(np.float32)
        compare(Call("RandomUniform", [], shape=[3, 5], seed=float(seed),
                     low=-1.0, high=2.0),
                [want * np.float32(3) + np.float32(-1)])
        compare(Call("RandomNormal", [], shape=[7], seed=float(seed),
                     mean=1.0, scale=2.0, dtype=11),
                [state(seed).randn(7) * 2 + 1])
        p = rng.random(50).astype(np.float32)
        compare(Call("Bernoulli", [p], seed=float(seed), opset=15, dtype=6),
                [state(seed).binomial(1, p).astype(np.int32)])
        x = noise(4, 6)
        mask = state(seed).uniform(0, 1, x.shape) >= 0.25
        compare(Call("Dropout", [x, f32(0.25)[0], np.array(True)], 2,
                     seed=seed, opset=13),
                [(mask * x * np.float32(1 / 0.75)).astype(np.float32), mask])


def multinomial_follows_its_weights_matches():
    weights = np.log(f32(1, 2, 7)).reshape(1, 3)
    got, = Call("Multinomial", [weights], sample_size=20000, seed=3.0,
                opset=7).ours()
    share = np.bincount(got.ravel(), minlength=3) / got.size
    np.testing.assert_allclose(share, [0.1, 0.2, 0.7], atol=0.02)


if __name__ == "__main__":
    sys.exit(main(globals()))
