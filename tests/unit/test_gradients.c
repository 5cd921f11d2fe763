/* test_gradients.c - every rule of passes/derivatives.def, and what the walk
 * back does with them. */
#include "gradient_check.h"

#include "passes/differentiate.h"

#include <stdio.h>

#define CASE(program, inputs)                                                  \
    { program, inputs, 0, 0 }
#define LARGE(program, inputs)                                                 \
    { program, inputs, GRADIENT_LARGE, 0 }

/* clang-format off */
static const gradient_case cases[] = {
    /* ---- the walk --------------------------------------------------------- */
    CASE("y = Mul(x, x)", "x 2x3"),
    CASE("a = Exp(x); b = Mul(a, x); c = Sin(b); y = Add(c, a)", "x 2x3"),
    CASE("a = Exp(z); b = Sqrt(a); y = Mul(b, x)", "x 2x3; z !2x3"),
    CASE("y = Exp(z); y2 = Neg(x)", "x 2x3; z !2x3"),
    CASE("y = Exp(z)", "x 2x3; z 2x3"),
    CASE("y = Exp(x); y2 = Sin(y)", "x 2x3"),
    /* ---- arithmetic ------------------------------------------------------- */
    CASE("y = Identity(x)", "x 2x3"),
    CASE("t = Cast(x) to=11; y = CastLike(t, x)", "x 2x3"),
    CASE("i = Cast(x) to=7; f = CastLike(i, x); y = Add(f, x)", "x 2x3"),
    CASE("y = CastLike(x, z)", "x 2x3; z !2"),
    CASE("y = Add(a, b)", "a 2x3; b 2x3"),
    CASE("y = Add(a, b)", "a 3; b 4x2x1"),
    CASE("y = Add(a, b)", "a 2x0; b 1x0"),
    CASE("y = Add(a, b)", "a 2x3x0; b 3x1"),
    CASE("y = Sum(a, b, c)", "a 2x3; b 3; c s"),
    CASE("y = Mean(a, b, c)", "a 2x3; b 3; c 2x1"),
    CASE("y = Sub(a, b)", "a 2x1x3; b 4x1"),
    CASE("y = Mul(a, b)", "a 2x3; b 5x1x3"),
    CASE("y = Mul(a, b)", "a 1x1; b 0x3"),
    CASE("y = Div(a, b)", "a 2x3; b +3"),
    CASE("y = Div(a, b)", "a 3; b +2x3"),
    CASE("y = Mod(a, b) fmod=1", "a 2x3; b +3"),
    CASE("y = Pow(a, b)", "a +2x3; b 3"),
    CASE("y = Pow(a, b)", "a 2x3; b ~2"),
    CASE("y = Max(a, b, c)", "a 2x3; b 3; c 2x1"),
    CASE("y = Max(a)", "a 2x3"),
    CASE("y = Min(a, b)", "a 3; b 2x3"),
    CASE("y = Where(c, a, b)", "c ?2x3:1,0,0,1,1,0; a 3; b 2x1"),
    CASE("y = Neg(x)", "x 2x3"),
    CASE("y = Abs(x)", "x 2x3"),
    CASE("y = Sqrt(x)", "x +2x3"),
    CASE("y = Exp(x)", "x 2x3"),
    CASE("y = Log(x)", "x +2x3"),
    CASE("y = Reciprocal(x)", "x +2x3"),
    CASE("y = Erf(x)", "x 2x3"),
    CASE("y = Sin(x)", "x 2x3"),
    CASE("y = Cos(x)", "x 2x3"),
    CASE("y = Tan(x)", "x 2x3"),
    CASE("y = Asin(x)", "x 2x3"),
    CASE("y = Acos(x)", "x 2x3"),
    CASE("y = Atan(x)", "x 2x3"),
    CASE("y = Sinh(x)", "x 2x3"),
    CASE("y = Cosh(x)", "x 2x3"),
    CASE("y = Asinh(x)", "x 2x3"),
    CASE("a = Add(x, c); y = Acosh(a)", "x +2x3; c ~1"),
    CASE("y = Atanh(x)", "x 2x3"),
    /* ---- flat ------------------------------------------------------------- */
    CASE("s = Shape(x); f = CastLike(s, x); a = Mul(f, f); y = ReduceSum(a);"
     "y2 = Exp(x)", "x 2x3"),
    CASE("s = Size(x); f = CastLike(s, x); y = Mul(f, x)", "x 2x3"),
    CASE("a = Sign(x); y = Mul(a, x)", "x 2x3"),
    CASE("a = Floor(x); y = Mul(a, x)", "x 2x3"),
    CASE("a = Ceil(x); y = Mul(a, x)", "x 2x3"),
    CASE("a = Round(x); y = Mul(a, x)", "x 2x3"),
    CASE("b = Equal(x, z); a = CastLike(b, x); y = Add(a, x)", "x 2x3; z !3"),
    CASE("b = Greater(x, z); a = CastLike(b, x); y = Mul(a, x)", "x 2x3; z 3"),
    CASE("b = GreaterOrEqual(x, z); a = CastLike(b, x); y = Mul(a, x)",
     "x 2x3; z 3"),
    CASE("b = Less(x, z); a = CastLike(b, x); y = Mul(a, x)", "x 2x3; z 3"),
    CASE("b = LessOrEqual(x, z); a = CastLike(b, x); y = Mul(a, x)", "x 2x3; z 3"),
    CASE("b = ArgMax(x) axis=1; a = CastLike(b, x); y = Mul(a, x)", "x 2x3"),
    CASE("b = ArgMin(x) axis=1; a = CastLike(b, x); y = Mul(a, x)", "x 2x3"),
    CASE("a = ocelli:OnesLike(x); y = Add(a, x)", "x 2x3"),
    CASE("a = ocelli:ZerosLike(x); y = Add(a, x)", "x 2x3"),
    /* ---- activations ------------------------------------------------------ */
    CASE("y = Relu(x)", "x 3x5x7"),
    CASE("y = Relu(x)", "x 3x0"),
    LARGE("y = Relu(x)", "x 9x4001"),
    CASE("y = LeakyRelu(x)", "x 3x5"),
    CASE("y = LeakyRelu(x) alpha=0.3", "x 3x5"),
    CASE("y = ThresholdedRelu(x) alpha=0.25", "x 3x5"),
    CASE("y = Elu(x)", "x 3x5"),
    CASE("y = Elu(x) alpha=0.7", "x 3x5"),
    CASE("y = Selu(x)", "x 3x5"),
    CASE("y = Selu(x) alpha=1.5 gamma=0.9", "x 3x5"),
    CASE("y = Celu(x) alpha=0.6", "x 3x5"),
    CASE("a = Mul(x, c); y = HardSigmoid(a)", "x 3x5; c ~4"),
    CASE("y = HardSigmoid(x) alpha=0.9 beta=0.4", "x 3x5"),
    CASE("a = Mul(x, c); y = HardSwish(a)", "x 5x7; c ~5"),
    CASE("y = Softsign(x)", "x 3x5"),
    CASE("y = Shrink(x) lambd=0.3 bias=0.1", "x 3x5"),
    CASE("a = Mul(x, c); y = Mish(a)", "x 5x7; c ~5"),
    CASE("a = Mul(x, c); y = Gelu(a)", "x 5x7; c ~4"),
    CASE("a = Mul(x, c); y = Gelu(a) approximate=tanh", "x 5x7; c ~4"),
    CASE("a = Mul(x, c); y = Swish@24(a) alpha=1.2", "x 5x7; c ~4"),
    LARGE("y = Swish@24(x)", "x 9x4001"),
    CASE("y = com.microsoft:Gelu(x)", "x 3x5"),
    CASE("y = com.microsoft:QuickGelu(x)", "x 3x5"),
    CASE("y = com.microsoft:FastGelu(x)", "x 3x5"),
    CASE("y = com.microsoft:FastGelu(x, b)", "x 3x5; b 5"),
    CASE("y = com.microsoft:BiasGelu(x, b)", "x 3x5; b 5"),
    CASE("y = Sigmoid(x)", "x 3x5"),
    CASE("y = Tanh(x)", "x 3x5"),
    CASE("y = Softplus(x)", "x 3x5"),
    CASE("s = Sigmoid(x); y = Mul(x, s)", "x 3x5"),
    CASE("y = PRelu(x, s)", "x 2x3x4; s 3x1"),
    CASE("y = PRelu(x, s)", "x 2x3x4; s 2x3x4"),
    CASE("y = PRelu(x, s)", "x 2x3x4; s s"),
    CASE("y = Clip(x, a, b)", "x 5x7; a ~-0.5; b ~0.4"),
    CASE("a = Neg(c); y = Clip(x, a, b)", "x 5x7; c +s; b +s"),
    CASE("y = Clip(x, _, b)", "x 5x7; b ~0.4"),
    CASE("y = Clip@6(x) min=-0.3", "x 5x7"),
    CASE("y = Dropout(x)", "x 3x5"),
    CASE("y = Dropout@11(x) ratio=0.4", "x 3x5"),
    CASE("y, m = Dropout(x, r, t) seed=5", "x 3x50; r ~0.3; t ?s:1"),
    CASE("y = Dropout(x, _, t) seed=5", "x 3x50; t ?s:1"),
    CASE("y = Dropout(x, r, t) seed=5", "x 3x50; r ~0.3; t ?s:0"),
    CASE("y = ocelli:ReluGrad(g, x)", "g 3x5; x !3x5"),
    CASE("y = ocelli:LeakyReluGrad(g, x)", "g 3x5; x 3x5"),
    CASE("y = ocelli:ClipGrad(g, x, a)", "g 3x5; x !3x5; a ~0.2"),
    /* Of many codes: what is rounded is too little to see. */
    CASE("n = Neg(p); r = Concat(n, p) axis=0; t = Mul(x, k); "
         "y = ocelli:FakeQuantize(t, r) bits=48",
         "x 5x7; p !+1; k ~3"),
    CASE("r = Concat(z, p) axis=0; t = Mul(x, k); s = Cos(t); "
         "y = ocelli:FakeQuantize(s, r) bits=48",
         "x 5x7; p !+1; z !1; k ~3"),
    CASE("r = Sub(p, p); y, s = ocelli:FakeQuantize(x, r) bits=48 observe=1",
         "x 5x7; p !2"),
    CASE("y = ocelli:FakeQuantizeWeight(x) bits=48", "x 5x7"),
    CASE("y = ocelli:FakeQuantizeWeight(x) axis=1 bits=48 spared=1", "x 3x4x5"),
    CASE("n = Neg(p); r = Concat(n, p) axis=0; "
         "y = ocelli:FakeQuantizeGrad(g, x, r)", "g 5x7; x !5x7; p !+1"),
    /* ---- products --------------------------------------------------------- */
    CASE("y = MatMul(a, b)", "a 3x4; b 4x5"),
    CASE("y = MatMul(a, b)", "a 2x3x4; b 4x5"),
    CASE("y = MatMul(a, b)", "a 3x4; b 2x4x5"),
    CASE("y = MatMul(a, b)", "a 2x1x3x4; b 5x4x2"),
    CASE("y = MatMul(a, b)", "a 0x4; b 4x5"),
    CASE("y = MatMul(a, b)", "a 4; b 4x5"),
    CASE("y = MatMul(a, b)", "a 3x4; b 4"),
    CASE("y = MatMul(a, b)", "a 4; b 4"),
    CASE("y = MatMul(a, b)", "a 2x3x4; b 4"),
    LARGE("y = MatMul(a, b)", "a 65x130; b 130x70"),
    CASE("y = Gemm(a, b, c)", "a 3x4; b 4x5; c 5"),
    CASE("y = Gemm(a, b, c) transA=1 alpha=0.5", "a 4x3; b 4x5; c 3x1"),
    CASE("y = Gemm(a, b, c) transB=1 beta=0.3", "a 3x4; b 5x4; c s"),
    CASE("y = Gemm(a, b) transA=1 transB=1 alpha=2.0", "a 4x3; b 5x4"),
    CASE("y = com.microsoft:FusedMatMul(a, b) transB=1 alpha=0.5",
     "a 2x3x4; b 5x4"),
    CASE("y = Einsum(a, b) equation=ij,jk->ik", "a 3x4; b 4x2"),
    CASE("y = Einsum(a, b) equation=bij,bkj", "a 2x3x4; b 2x5x4"),
    CASE("y = Einsum(a, b) equation=...ij,...jk->...ik", "a 2x3x4; b 1x4x2"),
    CASE("y = Einsum(a) equation=ijk->ki", "a 2x3x4"),
    CASE("y = Einsum(a, b, c) equation=ij,j,jk->i", "a 2x3; b 3; c 3x4"),
    CASE("y = Einsum(a, b) equation=i,j->ij", "a 3; b 0"),
    CASE("y = Attention@23(q, k, v)", "q 2x3x5x4; k 2x3x6x4; v 2x3x6x2"),
    CASE("y = Attention@23(q, k, v, m) is_causal=1 scale=0.7",
         "q 1x4x5x3; k 1x2x5x3; v 1x2x5x3; m 4x5x5"),
    CASE("y = Attention@23(q, k, v, m) q_num_heads=4 kv_num_heads=2",
         "q 2x5x12; k 2x3x6; v 2x3x4; m 5x3"),
    CASE("y = Attention@23(q, k, v, m)",
         "q 1x1x2x3; k 1x1x3x3; v 1x1x3x3; m ?2x3:1,1,0,0,1,1"),
    CASE("y = Attention@23(q, k, v)", "q 1x1x0x3; k 1x1x3x3; v 1x1x3x3"),
    LARGE("y = Attention@23(q, k, v) q_num_heads=3 kv_num_heads=3",
          "q 2x65x48; k 2x65x48; v 2x65x48"),
    /* ---- convolutions ----------------------------------------------------- */
    CASE("y = Conv(x, w, b)", "x 2x3x5x6; w 4x3x3x2; b 4"),
    CASE("y = Conv(x, w) pads=1,2,0,1", "x 2x3x5x6; w 4x3x3x3"),
    CASE("y = Conv(x, w) pads=3,3,3,3", "x 1x2x4x4; w 3x2x2x2"),
    CASE("y = Conv(x, w, b) strides=2,3 pads=1,1,1,1",
         "x 2x3x8x7; w 4x3x3x3; b 4"),
    CASE("y = Conv(x, w) strides=2,2 pads=1,1,0,0 dilations=2,1",
         "x 2x3x9x8; w 4x3x3x3"),
    CASE("y = Conv(x, w) dilations=2,2 pads=2,2,2,2", "x 1x3x6x5; w 2x3x3x3"),
    CASE("y = Conv(x, w, b) group=2", "x 2x4x5x5; w 6x2x3x3; b 6"),
    CASE("y = Conv(x, w) group=3 strides=2,2", "x 2x6x5x5; w 9x2x1x1"),
    CASE("y = Conv(x, w) group=4 pads=1,1,1,1", "x 2x4x5x5; w 4x1x3x3"),
    CASE("y = Conv(x, w) group=4 strides=2,2 pads=1,1,1,1",
         "x 2x4x7x5; w 8x1x3x3"),
    CASE("y = Conv(x, w) auto_pad=SAME_UPPER strides=2,2",
         "x 2x3x7x6; w 4x3x3x3"),
    CASE("y = Conv(x, w) auto_pad=SAME_LOWER", "x 2x3x5x6; w 4x3x2x2"),
    CASE("y = Conv(x, w) auto_pad=VALID", "x 2x3x5x6; w 4x3x2x2"),
    CASE("y = Conv(x, w)", "x 2x8x5x5; w 16x8x1x1"),
    CASE("y = Conv(x, w, b) pads=1,1", "x 2x3x9; w 4x3x3; b 4"),
    CASE("y = Conv(x, w) strides=2, pads=1,1 group=2", "x 2x4x9; w 4x2x3"),
    CASE("y = Conv(x, w, b) pads=1,0,1,1,0,1", "x 1x2x4x3x5; w 4x2x2x3x2; b 4"),
    CASE("y = Conv(x, w) strides=2,1,2", "x 1x2x4x3x5; w 3x2x2x2x2"),
    CASE("y = Conv(x, w, b)", "x 0x3x5x6; w 4x3x3x2; b 4"),
    CASE("v = Mul(w, w); y = Conv(x, v)", "x !1x3x5x6; w 4x3x3x2"),
    CASE("a = Conv(x, v, b) pads=1,1,1,1; c = Relu(a); d = Conv(c, w) group=16 "
         "pads=1,1,1,1; y = MaxPool(d) kernel_shape=2,2 strides=2,2",
         "x 1x3x8x8; v #16x3x3x3; b #16; w #16x1x3x3"),
    CASE("a = Conv(x, w) strides=2,2; y = Conv(a, v)",
         "x 1x8x9x9; w #24x8x3x3; v #16x24x1x1"),
    LARGE("y = Conv(x, w, b) pads=1,1,1,1", "x 2x33x19x23; w 70x33x3x3; b 70"),
    LARGE("y = Conv(x, w) strides=2,2 pads=1,1,1,1", "x 2x33x19x23; w 70x33x3x3"),
    LARGE("y = Conv(x, w)", "x 3x96x14x14; w 300x96x1x1"),
    LARGE("y = Conv(x, w) group=40 pads=1,1,1,1", "x 2x40x28x30; w 40x1x3x3"),
    LARGE("y = Conv(x, w) group=40 pads=2,2,2,2 strides=2,2",
          "x 2x40x28x30; w 40x1x5x5"),
    CASE("y = ocelli:ConvFlip(w) group=2", "w 6x2x3x2"),
    CASE("y = ConvTranspose(x, w, b)", "x 2x3x4x5; w 3x4x3x2; b 4"),
    CASE("y = ConvTranspose(x, w, b) strides=2,2 pads=1,1,1,1",
         "x 2x3x4x5; w 3x4x3x3; b 4"),
    CASE("y = ConvTranspose(x, w) strides=2,3 output_padding=1,2",
         "x 2x3x4x5; w 3x4x3x3"),
    CASE("y = ConvTranspose(x, w) strides=2,2 output_shape=9,10",
         "x 2x3x4x5; w 3x4x3x3"),
    CASE("y = ConvTranspose(x, w) strides=2,2 auto_pad=SAME_UPPER",
         "x 2x3x4x5; w 3x4x3x3"),
    CASE("y = ConvTranspose(x, w) group=2 dilations=2,1",
         "x 2x4x4x5; w 4x3x2x3"),
    CASE("y = ConvTranspose(x, w) group=4 strides=2,2", "x 2x4x4x5; w 4x1x2x2"),
    CASE("y = ConvTranspose(x, w, b) strides=2,", "x 2x3x4; w 3x4x3; b 4"),
    CASE("y = ConvTranspose(x, w)", "x 1x2x2x3x2; w 2x3x2x2x3"),
    LARGE("y = ConvTranspose(x, w) strides=2,2", "x 2x64x14x13; w 64x40x2x2"),
    CASE("y = ConvTranspose(x, w, b) strides=3,2 pads=1,1,2,0 "
         "output_padding=1,1", "x 2x3x4x5; w 3x2x3x2; b 2"),
    CASE("y = ConvTranspose(x, w, b) strides=4,3 dilations=2,1 group=2",
         "x 1x4x3x4; w 4x2x2x2; b 4"),
    LARGE("y = ConvTranspose(x, w, b) strides=2,2 group=2",
          "x 1x34x61x67; w 34x9x2x2; b 18"),
    LARGE("y = ConvTranspose(x, w, b) strides=3, pads=2,1",
          "x 2x5x3001; w 5x7x3; b 7"),
    LARGE("y = ConvTranspose(x, w, b) strides=2,2 pads=1,1,1,1",
          "x 2x7x5x37; w 7x6x4x5; b 6"),
    CASE("y = ConvTranspose(x, w) dilations=1,3 pads=0,2,0,1",
         "x 1x3x2x20; w 3x2x2x3"),
    LARGE("y = Conv(x, w) strides=4,4", "x 2x3x64x68; w 48x3x4x4"),
    /* ---- poolings --------------------------------------------------------- */
    CASE("y = MaxPool(x) kernel_shape=2,2 strides=2,2", "x 2x3x6x7"),
    CASE("y, i = MaxPool(x) kernel_shape=3,3 strides=2,2 pads=1,1,1,1",
         "x 2x3x6x7"),
    CASE("y = MaxPool(x) kernel_shape=3,2 dilations=2,1 ceil_mode=1 "
         "strides=2,2", "x 1x2x9x8"),
    CASE("y = MaxPool(x) kernel_shape=3, strides=2,", "x 2x3x8"),
    CASE("y = MaxPool(x) kernel_shape=2,2,2", "x 1x2x3x4x3"),
    CASE("y = MaxPool(x) kernel_shape=2,2", "x 0x3x4x4"),
    CASE("y = AveragePool(x) kernel_shape=2,2 strides=2,2", "x 2x3x6x7"),
    CASE("y = AveragePool(x) kernel_shape=3,3 strides=2,2 pads=1,1,1,1",
         "x 2x3x6x7"),
    CASE("y = AveragePool(x) kernel_shape=3,3 strides=2,2 pads=1,1,1,1 "
         "count_include_pad=1 ceil_mode=1", "x 2x3x6x7"),
    CASE("y = AveragePool(x) kernel_shape=3,3 auto_pad=SAME_UPPER",
         "x 1x2x5x5"),
    CASE("y = AveragePool(x) kernel_shape=3, dilations=2,", "x 2x3x8"),
    CASE("y = LpPool(x) kernel_shape=2,3 strides=1,2", "x 2x3x6x7"),
    CASE("y = LpPool(x) kernel_shape=2,2 p=1", "x 1x2x4x4"),
    CASE("y = LpPool(x) kernel_shape=2,2 p=3", "x 1x2x4x4"),
    CASE("y = GlobalMaxPool(x)", "x 2x3x4x5"),
    CASE("y = GlobalAveragePool(x)", "x 2x3x4x5"),
    CASE("y = GlobalAveragePool(x)", "x 2x3x7"),
    CASE("y = GlobalLpPool(x) p=3", "x 2x3x4x5"),
    LARGE("y = MaxPool(x) kernel_shape=3,3 strides=2,2 pads=1,1,1,1",
          "x 2x16x28x30"),
    /* ---- normalisations --------------------------------------------------- */
    CASE("y = BatchNormalization(x, s, b, m, v)",
         "x 2x3x4x5; s 3; b 3; m 3; v +3"),
    CASE("y = BatchNormalization(x, s, b, m, v) epsilon=0.1",
         "x 4x3; s 3; b 3; m 3; v +3"),
    CASE("y, rm, rv = BatchNormalization(x, s, b, m, v) training_mode=1",
         "x 2x3x4x5; s 3; b 3; m 3; v +3"),
    CASE("y = BatchNormalization(x, s, b, m, v) training_mode=1 epsilon=0.01",
         "x 5x3; s 3; b 3; m !3; v !+3"),
    CASE("y, rm, rv, a, c = BatchNormalization@9(x, s, b, m, v)",
         "x 2x3x4; s 3; b 3; m !3; v !+3"),
    CASE("y = BatchNormalization@7(x, s, b, m, v) spatial=0",
         "x 2x3x2; s 6; b 6; m 6; v +6"),
    LARGE("y, rm, rv = BatchNormalization(x, s, b, m, v) training_mode=1",
          "x 3x17x19x23; s 17; b 17; m !17; v !+17"),
    CASE("y = InstanceNormalization(x, s, b)", "x 2x3x4x5; s 3; b 3"),
    CASE("y = GroupNormalization(x, s, b) num_groups=2", "x 2x6x3x2; s 6; b 6"),
    CASE("y = GroupNormalization@18(x, s, b) num_groups=2",
         "x 2x6x5; s 2; b 2"),
    LARGE("y = GroupNormalization(x, s, b) num_groups=4",
          "x 2x20x31x9; s 20; b 20"),
    CASE("y = LayerNormalization(x, s, b)", "x 2x3x8; s 8; b 8"),
    CASE("y = LayerNormalization(x, s, b) axis=1 epsilon=0.1",
         "x 2x3x4; s 3x4; b 4"),
    CASE("y = LayerNormalization(x, s)", "x 2x3x8; s 2x1x1"),
    CASE("y = LayerNormalization(x, s, b)", "x !2x3x8; s 8; b 8"),
    CASE("y = LayerNormalization(x, s, b)", "x 0x8; s 8; b 8"),
    LARGE("y = LayerNormalization(x, s, b)", "x 65x197; s 197; b 197"),
    CASE("y = com.microsoft:LayerNormalization(x, s)", "x 2x8; s 8"),
    CASE("y = RMSNormalization@23(x, s)", "x 2x3x8; s 8"),
    CASE("y = RMSNormalization@23(x, s) axis=1", "x 2x3x4; s 3x1"),
    CASE("y = SimplifiedLayerNormalization(x, s)", "x 2x3x8; s 8"),
    CASE("y = com.microsoft:SimplifiedLayerNormalization(x, s)", "x 2x8; s 8"),
    CASE("y = LRN(x) size=3 alpha=0.5", "x 2x5x2x3"),
    CASE("y = LRN(x) size=4 alpha=0.9 beta=0.6 bias=2.0", "x 1x7x4"),
    CASE("y = LpNormalization(x) axis=1", "x 2x3x4"),
    CASE("y = LpNormalization(x) p=1", "x 2x3x4"),
    CASE("y = MeanVarianceNormalization(x)", "x 2x3x4x2"),
    CASE("y = MeanVarianceNormalization(x) axes=1,", "x 3x5"),
    /* ---- shapes ----------------------------------------------------------- */
    CASE("y = Reshape(x, s)", "x 2x3; s =3,-1"),
    CASE("y = Reshape(x, s) allowzero=1", "x 0x3; s =3,0,2"),
    CASE("y = Flatten(x) axis=2", "x 2x3x4"),
    CASE("y = Squeeze(x)", "x 1x3x1"),
    CASE("y = Unsqueeze(x, a)", "x 3; a =0,2"),
    CASE("y = ocelli:ReshapeLike(x, z)", "x 2x3; z 6"),
    CASE("y = ocelli:AsRow(x)", "x 3"),
    CASE("y = ocelli:AsColumn(x)", "x 3"),
    CASE("y = ocelli:AsProduct(x, a, b)", "x 2x4; a !4; b !2x4x4"),
    CASE("y = Expand(x, s)", "x 3x1; s =2,3,4"),
    CASE("y = Expand(x, s)", "x 3x1; s =0,3,4"),
    CASE("y = ocelli:SumTo(x, z)", "x 2x3x4; z !3x1"),
    CASE("y = Transpose(x)", "x 2x3x4"),
    CASE("y = Transpose(x) perm=1,2,0", "x 2x3x4"),
    CASE("y = Concat(a, b, c) axis=1", "a 2x3x2; b !2x1x2; c 2x2x2"),
    CASE("y = Concat(a, b) axis=-1", "a 2x0; b 2x3"),
    CASE("y = Concat(x, x) axis=0", "x 2x3"),
    CASE("y, y2 = Split(x) axis=1 num_outputs=2", "x 2x5"),
    CASE("a, y, _ = Split(x, s) axis=0", "x 6x2; s =2,1,3"),
    CASE("y = Slice(x, b, e)", "x 4x5; b =1,0; e =3,4"),
    CASE("y = Slice(x, b, e, a, s)", "x 4x5x3; b =-1,4; e =-9,0; a =0,1; "
         "s =-2,-1"),
    CASE("y = Slice(x, b, e)", "x 4x5; b =2,0; e =2,5"),
    CASE("y = Slice@9(x) starts=1,0 ends=3,2 axes=1,0", "x 4x5"),
    CASE("y = Pad(x, p)", "x 3x4; p =1,2,0,1"),
    CASE("y = Pad(x, p, v)", "x 3x4; p =1,-1,2,1; v s"),
    CASE("y = Pad(x, p, v, a)", "x 3x4x2; p =1,2; v ~0.5; a =1"),
    CASE("y = Pad(x, p) mode=reflect", "x 3x4; p =2,3,1,2"),
    CASE("y = Pad(x, p) mode=edge", "x 3x4; p =2,0,1,2"),
    CASE("y = Pad(x, p) mode=wrap", "x 3x4; p =2,5,1,2"),
    CASE("y = Pad@2(x) pads=1,0,0,1 mode=reflect", "x 3x4"),
    CASE("y = CenterCropPad(x, s)", "x 3x4; s =6,2"),
    CASE("y = Tile(x, r)", "x 2x3; r =2,3"),
    CASE("y = Tile(x, r)", "x 2x3; r =0,1"),
    CASE("y = DepthToSpace(x) blocksize=2", "x 1x8x2x3"),
    CASE("y = DepthToSpace(x) blocksize=2 mode=CRD", "x 1x8x2x3"),
    CASE("y = SpaceToDepth(x) blocksize=2", "x 1x2x4x6"),
    CASE("y = Trilu(x)", "x 3x4"),
    CASE("y = Trilu(x, k) upper=0", "x 2x3x4; k =s:1"),
    CASE("y = ReverseSequence(x, n) batch_axis=0 time_axis=1",
         "x 2x4x2; n =3,2"),
    /* ---- resizing --------------------------------------------------------- */
    CASE("y = Resize(x, _, _, s)", "x 1x2x3x4; s =1,2,6,8"),
    CASE("y = Resize(x, _, _, s) mode=linear", "x 1x2x3x4; s =1,2,5,9"),
    CASE("y = Resize(x, _, _, s) mode=linear", "x 1x2x7x8; s =1,2,3,4"),
    CASE("y = Resize(x, _, _, s) mode=linear antialias=1",
         "x 1x2x7x9; s =1,2,3,4"),
    CASE("y = Resize(x, _, _, s) mode=linear "
         "coordinate_transformation_mode=align_corners", "x 1x2x3x4; s =1,2,7,5"),
    CASE("y = Resize(x, _, _, s) mode=linear axes=2, "
         "coordinate_transformation_mode=asymmetric", "x 2x3x4; s =9,"),
    CASE("y = Resize(x, _, _, s) mode=cubic", "x 1x2x5x4; s =1,2,8,7"),
    CASE("y = Resize(x, _, _, s) mode=cubic exclude_outside=1 "
         "cubic_coeff_a=-0.5", "x 1x1x4x5; s =1,1,3,9"),
    CASE("y = Resize(x, r, _, s) mode=linear extrapolation_value=1.0 "
         "coordinate_transformation_mode=tf_crop_and_resize axes=0,1",
         "x 4x5; r !4; s =3,6"),
    CASE("y = Resize(x, _, _, s)", "x 2x3; s =0,6"),
    CASE("y = Upsample@9(x, s) mode=linear", "x 1x2x3x4; s =1,1,2,3"),
    CASE("y = Upsample@7(x) mode=nearest scales=1.0,1.0,2.0,2.0", "x 1x2x3x4"),
    LARGE("y = Resize(x, _, _, s) mode=linear", "x 2x9x31x17; s =2,9,62,34"),
    /* ---- by index --------------------------------------------------------- */
    CASE("y = Gather(x, i)", "x 4x3; i =1,-1,1"),
    CASE("y = Gather(x, i) axis=1", "x 2x4x3; i =2x2:3,0,0,1"),
    CASE("y = Gather(x, i)", "x 4; i =s:2"),
    CASE("y = Gather(x, i) axis=1", "x 2x4; i =0x2:"),
    LARGE("y = Gather(x, i) axis=1", "x 3x8x700; i =1,7,1,0,3,1"),
    CASE("y = GatherElements(x, i) axis=1", "x 3x4; i =2x3:1,1,0,3,-1,3"),
    CASE("y = GatherND(x, i)", "x 3x4x2; i =3x2:0,1,2,3,0,1"),
    CASE("y = GatherND(x, i) batch_dims=1", "x 2x4x3; i =2x2x1:1,1,3,0"),
    CASE("y = Scatter@9(x, i, u) axis=1", "x 2x4; i =2x2:1,0,3,2; u 2x2"),
    CASE("y = ScatterElements(x, i, u)", "x 4x2; i =2x2:1,0,3,2; u 2x2"),
    CASE("y = ScatterElements(x, i, u) reduction=add axis=-1",
         "x 2x4; i =2x3:1,1,0,3,2,3; u 2x3"),
    CASE("y = ScatterElements(x, i, u) reduction=mul axis=1",
         "x 2x4; i =2x3:1,1,0,3,2,3; u 2x3"),
    CASE("y = ScatterElements(x, i, u) reduction=max axis=1",
         "x 2x4; i =2x3:1,1,0,3,2,3; u 2x3"),
    CASE("y = ScatterND(x, i, u)", "x 4x3; i =2x1:1,3; u 2x3"),
    CASE("y = ScatterND(x, i, u) reduction=add", "x 4x3; i =3x1:1,3,1; u 3x3"),
    CASE("y = ScatterND(x, i, u) reduction=min", "x 4x3; i =3x2:1,2,3,0,1,2; "
         "u 3"),
    CASE("y, i = TopK(x, k) axis=1", "x 2x5x2; k =3,"),
    CASE("y, _ = TopK(x, k) largest=0", "x 3x5; k =2,"),
    CASE("y = TopK(x, k)", "x 3x5; k =2,"),
    /* ---- reductions ------------------------------------------------------- */
    CASE("y = ReduceSum(x)", "x 2x3"),
    CASE("y = ReduceSum(x, a) keepdims=0", "x 2x3x4; a =1"),
    CASE("y = ReduceSum(x, a)", "x 2x0x4; a =1"),
    CASE("y = ReduceSum@11(x) axes=0,-1 keepdims=0", "x 2x3x4"),
    CASE("y = ReduceSum(x) noop_with_empty_axes=1", "x 2x3"),
    CASE("y = ReduceMean(x, a)", "x 2x3x4; a =0,2"),
    CASE("y = ocelli:Spread(g, x) mean=1", "g s; x !2x3"),
    CASE("y = Softmax(x)", "x 2x3"),
    CASE("y = Softmax(x) axis=1", "x 2x3x4"),
    CASE("y = LogSoftmax(x) axis=0", "x 3x2"),
    CASE("y = Softmax@11(x)", "x 2x3x4"),
    CASE("y = Softmax@11(x) axis=2", "x 2x3x4"),
    CASE("y = LogSoftmax@12(x) axis=1", "x 2x3x2"),
    CASE("y = ReduceL1(x, a)", "x 2x3x4; a =1"),
    CASE("y = ReduceL2(x, a) keepdims=0", "x 2x3x4; a =2,0"),
    CASE("y = ReduceL2@13(x) axes=1,", "x 2x3x4"),
    CASE("y = ReduceSumSquare(x, a)", "x 2x3x4; a =-1"),
    CASE("y = ReduceLogSum(x, a)", "x +2x3x4; a =1"),
    CASE("y = ReduceLogSumExp(x, a) keepdims=0", "x 2x3x4; a =1"),
    CASE("y = ReduceMax(x, a)", "x 2x3x4; a =1"),
    CASE("y = ReduceMax@13(x) keepdims=0", "x 2x3"),
    CASE("y = ReduceMin(x, a) keepdims=0", "x 2x3x4; a =1,2"),
    CASE("y = ReduceProd(x, a)", "x 2x3x4; a =1"),
    CASE("r = Concat(x, z) axis=1; y = ReduceProd(r, a)", "x 2x3; z %2x1; a =1"),
    CASE("r = Concat(x, z) axis=1; y = ReduceProd(r, a)", "x 2x3; z %2x2; a =1"),
    CASE("y = CumSum(x, a)", "x 2x5; a =s:1"),
    CASE("y = CumSum(x, a) exclusive=1 reverse=1", "x 4x2; a =s:0"),
    /* ---- losses ----------------------------------------------------------- */
    CASE("y = SoftmaxCrossEntropyLoss(x, t)", "x 4x5; t =3,0,4,1"),
    CASE("y, y2 = SoftmaxCrossEntropyLoss(x, t, w) ignore_index=2",
         "x 2x4x3; t =2x3:0,2,3,1,1,2; w !+4"),
    CASE("y = SoftmaxCrossEntropyLoss(x, t, w) reduction=none",
         "x 2x4x3; t =2x3:0,2,3,1,1,2; w !+4"),
    CASE("l, y = SoftmaxCrossEntropyLoss(x, t) reduction=sum",
         "x 2x4x3; t =2x3:0,2,3,1,1,2"),
    CASE("y = NegativeLogLikelihoodLoss(x, t)", "x 4x5; t =3,0,4,1"),
    CASE("y = NegativeLogLikelihoodLoss(x, t, w) reduction=sum ignore_index=-7",
         "x 2x4x3; t =2x3:0,-7,3,1,1,2; w !+4"),
    LARGE("y = SoftmaxCrossEntropyLoss(x, t)", "x 3x1001; t =1000,3,77"),
};
/* clang-format on */

static void gradients_match_differences(void **state) {
    (void)state;
    for (size_t i = 0; i < OC_COUNT(cases); i++)
        gradient_check(&cases[i]);
}

/* ---- a rule without a case -------------------------------------------------
 */

typedef struct seen {
    const oc__rule *rule;
    int found;
} seen;

static void look(void *user, const char *domain, const char *op) {
    seen *s = user;
    s->found |= !strcmp(domain, s->rule->domain) && !strcmp(op, s->rule->op);
}

static void gradients_have_a_case_for_every_rule(void **state) {
    (void)state;
    int missing = 0;
    for (const oc__rule *r = oc__rules; r->op; r++) {
        seen s = {r, 0};
        for (size_t i = 0; i < OC_COUNT(cases); i++)
            gradient_each_op(cases[i].program, look, &s);
        if (s.found) continue;
        print_error("%s %s has a rule and no case\n", r->domain, r->op);
        missing++;
    }
    assert_int_equal(missing, 0);
}

/* ---- what cannot be differentiated ------------------------------------------
 */

static void gradients_refuse_what_has_no_rule(void **state) {
    (void)state;
    oc_error err;
    gradient_case none = CASE("y = Det(x)", "x 2x2");
    assert_int_equal(gradient_status(&none, &err), OC_E_UNSUPPORTED);
    assert_string_equal(err.message, "Gradient: the derivative of Det \"y\" "
                                     "(version 21) is not known");
    gradient_case running =
        CASE("a, y, v = BatchNormalization(x, s, s, s, t) training_mode=1",
             "x 2x3; s 3; t !+3");
    assert_int_equal(gradient_status(&running, &err), OC_E_UNSUPPORTED);
    assert_string_equal(err.message, "Gradient: the derivative of output 1 of "
                                     "BatchNormalization \"a\" is not known");
    gradient_case diagonal = CASE("y = Einsum(x) equation=ii->i", "x 3x3");
    assert_int_equal(gradient_status(&diagonal, &err), OC_E_UNSUPPORTED);
    gradient_case weight =
        CASE("y = SoftmaxCrossEntropyLoss(x, t, w)", "x 2x3; t =0,1; w +3");
    assert_int_equal(gradient_status(&weight, &err), OC_E_UNSUPPORTED);
    gradient_case cap = CASE("y = Attention@23(q, k, v) softcap=2.0",
                             "q 1x1x2x3; k 1x1x2x3; v 1x1x2x3");
    assert_int_equal(gradient_status(&cap, &err), OC_E_UNSUPPORTED);
    assert_string_equal(err.message, "Gradient: the derivative of softcap of "
                                     "Attention \"y\" is not known");
}

static void gradients_survive_lack_of_memory(void **state) {
    (void)state;
    static const gradient_case some[] = {
        CASE("a = Conv(x, w, b); c, d = Split(a) axis=1 num_outputs=2;"
             "e = MatMul(c, d); f = Dropout(e, r, t); h, _ = TopK(f, k);"
             "y = Concat(h, d) axis=3",
             "x 1x2x4x4; w 4x2x1x1; b 4; r ~0.5; t ?s:1; k =2,"),
        CASE("y = Attention@23(q, k, v, m)",
             "q 1x1x2x3; k 1x1x3x3; v 1x1x3x3; m 2x3"),
        CASE("y = Einsum(a, b) equation=ij,jk->k", "a 2x3; b 3x4"),
        CASE("y = LpNormalization(x); y2 = LogSoftmax(x)", "x 2x3"),
    };
    for (size_t i = 0; i < OC_COUNT(some); i++)
        gradient_without_memory(&some[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_match_differences),
        cmocka_unit_test(gradients_have_a_case_for_every_rule),
        cmocka_unit_test(gradients_refuse_what_has_no_rule),
        cmocka_unit_test(gradients_survive_lack_of_memory),
    };
    return cmocka_run_group_tests_name("gradients", tests, NULL, NULL);
}
