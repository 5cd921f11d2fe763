/* winograd_f32_scalar.c - Winograd's transforms in plain C, from the points
 * themselves; see winograd_template.h for what they compute. */
#include "kernels/kernels.h"

#define MAX_N 8
#define MAX_M 6

static const float all_points[OC_WINOGRAD_SIZES][3] = OC_WINOGRAD_POINTS;

/* Point i of n: 0, +p0, -p0, +p1, ...; the last, infinity, has none. */
static float point(size_t n, size_t i) {
    float p = i ? all_points[n / 2 - 2][(i - 1) / 2] : 0.0f;
    return i % 2 || i == 0 ? p : -p;
}

/* Row i of the input transform: the product of (x - other points). */
static void input_row(size_t n, size_t i, float *row) {
    size_t degree = 0;
    row[0] = 1.0f;
    for (size_t j = 0; j + 1 < n; j++) {
        if (j == i) continue;
        float p = point(n, j);
        row[++degree] = 0.0f;
        for (size_t k = degree; k > 0; k--)
            row[k] = row[k - 1] - p * row[k];
        row[0] *= -p;
    }
    while (++degree < n)
        row[degree] = 0.0f;
}

/* Row i of the output transform: the powers i of the points. */
static void output_row(size_t n, size_t i, float *row) {
    for (size_t j = 0; j + 1 < n; j++) {
        row[j] = 1.0f;
        for (size_t k = 0; k < i; k++)
            row[j] *= point(n, j);
    }
    row[n - 1] = i + 3 == n ? 1.0f : 0.0f;
}

/* y = T x T^t for one channel: x (n, n), T (rows, n), y (rows, rows). */
static void both_sides(float (*t)[MAX_N], size_t rows, size_t n,
                       float (*x)[MAX_N], float (*y)[MAX_N]) {
    float half[MAX_N][MAX_N] = {{0.0f}};
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++)
            for (size_t k = 0; k < n; k++)
                half[i][j] += t[i][k] * x[k][j];
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < rows; j++) {
            y[i][j] = 0.0f;
            for (size_t k = 0; k < n; k++)
                y[i][j] += half[i][k] * t[j][k];
        }
}

static void input(const oc__winograd_tile *t, size_t n) {
    float matrix[MAX_N][MAX_N], x[MAX_N][MAX_N], y[MAX_N][MAX_N];
    for (size_t i = 0; i < n; i++)
        input_row(n, i, matrix[i]);
    for (size_t ch = 0; ch < t->c; ch++) {
        for (size_t i = 0; i < n * n; i++)
            x[i / n][i % n] = t->from[i / n * t->from_step + i % n * t->c + ch];
        both_sides(matrix, n, n, x, y);
        for (size_t i = 0; i < n * n; i++)
            t->to[i * t->to_step + ch] = y[i / n][i % n];
    }
}

static void output(const oc__winograd_tile *t, size_t n) {
    float matrix[MAX_M][MAX_N], x[MAX_N][MAX_N], y[MAX_N][MAX_N];
    for (size_t i = 0; i + 2 < n; i++)
        output_row(n, i, matrix[i]);
    for (size_t ch = 0; ch < t->c; ch++) {
        for (size_t i = 0; i < n * n; i++)
            x[i / n][i % n] = t->from[i * t->from_step + ch];
        both_sides(matrix, n - 2, n, x, y);
        for (size_t i = 0; i < t->rows; i++)
            for (size_t j = 0; j < t->cols; j++) {
                size_t at = i * t->to_step + j * t->c + ch;
                float v = y[i][j];
                if (t->bias) v += t->bias[ch];
                if (t->residual) v += t->residual[at];
                v = v < t->lo ? t->lo : v;
                t->to[at] = v > t->hi ? t->hi : v;
            }
    }
}

/* y = T x T^t: x (cols, cols) at `from`, T (rows, cols), y (rows, rows). */
static void transform(const oc__winograd_tile *t, float (*matrix)[MAX_N],
                      size_t rows, size_t cols, int is_pixels) {
    float x[MAX_N][MAX_N], y[MAX_N][MAX_N];
    for (size_t ch = 0; ch < t->c; ch++) {
        for (size_t i = 0; i < cols * cols; i++) {
            size_t at = is_pixels ? i / cols * t->from_step + i % cols * t->c
                                  : i * t->from_step;
            x[i / cols][i % cols] = t->from[at + ch];
        }
        both_sides(matrix, rows, cols, x, y);
        for (size_t i = 0; i < rows * rows; i++)
            t->to[i * t->to_step + ch] = y[i / rows][i % rows];
    }
}

/* Taps at each point, by its distances from the others. */
static void grad(const oc__winograd_tile *t) {
    float matrix[MAX_N][MAX_N] = {{0.0f}};
    for (size_t i = 0; i < 5; i++) {
        float p = point(6, i), power = 1.0f;
        for (size_t j = 0; j < 5; j++)
            if (j != i) power /= p - point(6, j);
        for (size_t j = 0; j < 4; j++, power *= p)
            matrix[i][j] = power;
    }
    matrix[5][3] = 1.0f;
    transform(t, matrix, 6, 4, 1);
}

static void weights(const oc__winograd_tile *t) {
    float matrix[MAX_N][MAX_N] = {{0.0f}};
    for (size_t i = 0; i < 3; i++)
        output_row(6, i, matrix[i]);
    matrix[2][5] = 1.0f;
    transform(t, matrix, 3, 6, 0);
}

#define SIZE(m)                                                                \
    static void input_##m(const oc__winograd_tile *t) {                        \
        input(t, m + 2);                                                       \
    }                                                                          \
    static void output_##m(const oc__winograd_tile *t) {                       \
        output(t, m + 2);                                                      \
    }
SIZE(2)
SIZE(4)
SIZE(6)

const oc__winograd_f32_kernel oc__winograd_f32_scalar = {
    {input_2, input_4, input_6}, {output_2, output_4, output_6}, grad, weights};
