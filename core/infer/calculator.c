// calculator.c - recursive descent over naturals of 32-bit limbs and doubles.
//
//     sum = term {(+ | -) term}     term = factor {(* | / | //) factor}
//     factor = {+ | -} atom         atom = number | ... | ( ) | ( sum )
//
// 1. A natural has its limbs lowest first and none of value zero on top; zero has none. Zero is never negative.
// 2. Functions that answer bool say false for "no result"; memory that ran out is noted in `failed` and ends it the same way.
// 3. Any call, as in 5(3), is a type error in Python, so an atom followed by a parenthesis needs no rule: the parenthesis is
//    left over and there is no result.
// 4. Values are made in an arena that lives for one call. A value has at most as many digits as the text that made it, which
//    keeps even schoolbook arithmetic cheap.
#include "core/infer/calculator.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { INTEGER, REAL, TUPLE, ELLIPSIS };

struct natural {
    uint32_t *limb;
    int n;
};

struct value {
    enum kind kind;
    bool negative;         // INTEGER
    struct natural amount; // INTEGER
    double real;           // REAL
};

struct reader {
    const char *text; // zero-terminated, and no zero before
    size_t at;
    int depth;
    struct arena *arena;
    bool failed;
};

// Naturals

static bool make(struct reader *r, struct natural *x, int n)
{
    x->limb = arena_array(r->arena, (size_t)n + 1, sizeof *x->limb);
    x->n = n;
    r->failed |= !x->limb;
    return x->limb;
}

static void trim(struct natural *x)
{
    while (x->n && x->limb[x->n - 1] == 0)
        x->n--;
}

static int compare(struct natural a, struct natural b)
{
    if (a.n != b.n)
        return a.n < b.n ? -1 : 1;
    for (int i = a.n - 1; i >= 0; i--)
        if (a.limb[i] != b.limb[i])
            return a.limb[i] < b.limb[i] ? -1 : 1;
    return 0;
}

static bool add(struct reader *r, struct natural *out, struct natural a, struct natural b)
{
    int n = (a.n > b.n ? a.n : b.n) + 1;
    if (!make(r, out, n))
        return false;
    uint64_t carry = 0;
    for (int i = 0; i < n; i++) {
        carry += (uint64_t)(i < a.n ? a.limb[i] : 0) + (i < b.n ? b.limb[i] : 0);
        out->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    trim(out);
    return true;
}

// a -= b, where a >= b.
static void take(struct natural *a, struct natural b)
{
    uint64_t borrow = 0;
    for (int i = 0; i < a->n; i++) {
        uint64_t d = (uint64_t)a->limb[i] - (i < b.n ? b.limb[i] : 0) - borrow;
        a->limb[i] = (uint32_t)d;
        borrow = d >> 63;
    }
    trim(a);
}

static bool multiply(struct reader *r, struct natural *out, struct natural a, struct natural b)
{
    if (!make(r, out, a.n + b.n))
        return false;
    for (int i = 0; i < a.n; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < b.n; j++) {
            carry += (uint64_t)a.limb[i] * b.limb[j] + out->limb[i + j];
            out->limb[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
        out->limb[i + b.n] = (uint32_t)carry;
    }
    trim(out);
    return true;
}

static int bit_length(struct natural a)
{
    return a.n ? 32 * a.n - __builtin_clz(a.limb[a.n - 1]) : 0;
}

static bool shift_up(struct reader *r, struct natural *out, struct natural a, int bits)
{
    if (!make(r, out, a.n + bits / 32 + 1))
        return false;
    for (int i = 0; i < a.n; i++) {
        uint64_t two = (uint64_t)a.limb[i] << bits % 32;
        out->limb[i + bits / 32] |= (uint32_t)two;
        out->limb[i + bits / 32 + 1] |= (uint32_t)(two >> 32);
    }
    trim(out);
    return true;
}

// Bit by bit: b > 0, *quotient = floor(a / b), *rest = a - quotient b.
static bool divide(struct reader *r, struct natural *quotient, struct natural *rest, struct natural a, struct natural b)
{
    if (!make(r, quotient, a.n) || !make(r, rest, b.n + 1))
        return false;
    rest->n = 0;
    for (int bit = bit_length(a) - 1; bit >= 0; bit--) {
        uint32_t in = a.limb[bit / 32] >> bit % 32 & 1;
        for (int i = 0; i < rest->n; i++) {
            uint32_t out = rest->limb[i] >> 31;
            rest->limb[i] = rest->limb[i] << 1 | in;
            in = out;
        }
        if (in)
            rest->limb[rest->n++] = in;
        if (compare(*rest, b) >= 0) {
            take(rest, b);
            quotient->limb[bit / 32] |= UINT32_C(1) << bit % 32;
        }
    }
    trim(quotient);
    return true;
}

// a / b to the nearest double, ties to even; false where that would be infinite. b > 0.
//
// The quotient is scaled to 55 to 57 bits, the lowest of which also stands for all that is behind it: enough for one rounding
// here, at the place that the size of the result gives (subnormal results have fewer bits), after which ldexp is exact.
static bool ratio(struct reader *r, double *out, struct natural a, struct natural b)
{
    *out = 0;
    int larger = bit_length(a) - bit_length(b); // 2^(larger-1) < a/b < 2^(larger+1)
    if (a.n == 0 || larger < -1080)
        return true;
    if (larger > 1024)
        return false;
    int scale = 56 - larger;
    struct natural q, rest;
    if (scale > 0 ? !shift_up(r, &a, a, scale) : !shift_up(r, &b, b, -scale))
        return false;
    if (!divide(r, &q, &rest, a, b))
        return false;
    uint64_t bits = q.limb[0] | (q.n > 1 ? (uint64_t)q.limb[1] << 32 : 0);
    bits |= rest.n > 0;
    int drop = bit_length(q) - DBL_MANT_DIG, finest = scale + DBL_MIN_EXP - DBL_MANT_DIG;
    if (drop < finest)
        drop = finest;
    if (drop > 62)
        return true;
    uint64_t behind = bits & ((UINT64_C(1) << drop) - 1), half = UINT64_C(1) << (drop - 1);
    bits >>= drop;
    bits += behind > half || (behind == half && (bits & 1));
    *out = ldexp((double)bits, drop - scale);
    return isfinite(*out);
}

// Values

static bool to_real(struct reader *r, double *out, const struct value *v)
{
    uint32_t one = 1;
    *out = v->real;
    if (v->kind == REAL)
        return true;
    if (v->kind != INTEGER || !ratio(r, out, v->amount, (struct natural){&one, 1}))
        return false;
    *out = v->negative ? -*out : *out;
    return true;
}

// a + b, or a - b.
static bool sum_integers(struct reader *r, struct value *a, struct value b, bool minus)
{
    b.negative ^= minus;
    if (a->negative == b.negative) {
        if (!add(r, &a->amount, a->amount, b.amount))
            return false;
    } else {
        if (compare(a->amount, b.amount) < 0) {
            struct value swap = *a;
            *a = b;
            b = swap;
        }
        struct natural copy;
        if (!shift_up(r, &copy, a->amount, 0))
            return false;
        take(&copy, b.amount);
        a->amount = copy;
    }
    a->negative &= a->amount.n > 0;
    return true;
}

static bool floor_integers(struct reader *r, struct value *a, const struct value *b)
{
    struct natural q, rest;
    uint32_t one = 1;
    bool negative = a->negative != b->negative;
    if (b->amount.n == 0 || !divide(r, &q, &rest, a->amount, b->amount))
        return false;
    if (negative && rest.n && !add(r, &q, q, (struct natural){&one, 1}))
        return false;
    a->amount = q;
    a->negative = negative && q.n;
    return true;
}

static bool integers(struct reader *r, struct value *a, char op, const struct value *b)
{
    if (op == '+' || op == '-')
        return sum_integers(r, a, *b, op == '-');
    if (op == 'f')
        return floor_integers(r, a, b);
    bool negative = a->negative != b->negative;
    if (op == '*') {
        if (!multiply(r, &a->amount, a->amount, b->amount))
            return false;
        a->negative = negative && a->amount.n;
        return true;
    }
    if (b->amount.n == 0 || !ratio(r, &a->real, a->amount, b->amount))
        return false;
    a->kind = REAL;
    a->real = negative ? -a->real : a->real; // 0/-1 is -0.0 in Python
    return true;
}

// floor(a / b) by way of the exact remainder: the quotient of a - remainder is close to a whole number, to which it is brought.
static double floor_reals(double a, double b)
{
    double rest = fmod(a, b), whole = (a - rest) / b;
    if (rest != 0 && (rest < 0) != (b < 0))
        whole -= 1;
    if (whole == 0)
        return copysign(0, a / b);
    double down = floor(whole);
    return whole - down > 0.5 ? down + 1 : down;
}

static bool reals(struct reader *r, struct value *a, char op, const struct value *b)
{
    double x, y;
    if (!to_real(r, &x, a) || !to_real(r, &y, b))
        return false;
    if ((op == '/' || op == 'f') && y == 0)
        return false;
    a->kind = REAL;
    a->real = op == '+' ? x + y : op == '-' ? x - y : op == '*' ? x * y : op == '/' ? x / y : floor_reals(x, y);
    return true;
}

// a = a op b; op 'f' is //.
static bool apply(struct reader *r, struct value *a, char op, const struct value *b)
{
    if (a->kind == INTEGER && b->kind == INTEGER)
        return integers(r, a, op, b);
    if (a->kind <= REAL && b->kind <= REAL)
        return reals(r, a, op, b);
    if (op == '+')
        return a->kind == TUPLE && b->kind == TUPLE;
    const struct value *times = a->kind == TUPLE ? b : a;
    if (op != '*' || times->kind != INTEGER || (a->kind != TUPLE && b->kind != TUPLE))
        return false;
    // A count is a signed 64-bit number; the one whose amount has 64 bits is -2^63.
    int bits = bit_length(times->amount);
    bool fits = bits < 64 || (bits == 64 && times->negative && times->amount.limb[0] == 0 && times->amount.limb[1] == 1u << 31);
    *a = (struct value){.kind = TUPLE};
    return fits;
}

// Reading

static char next(struct reader *r)
{
    while (r->text[r->at] == ' ')
        r->at++;
    return r->text[r->at];
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool read_integer(struct reader *r, struct value *out, const char *digits, int n)
{
    if (!make(r, &out->amount, n / 9 + 1)) // 9 digits fit into a limb
        return false;
    struct natural *x = &out->amount;
    x->n = 0;
    bool is_zero = true;
    for (int i = 0; i < n; i++) {
        uint64_t carry = (uint64_t)(digits[i] - '0');
        is_zero &= carry == 0;
        for (int k = 0; k < x->n; k++) {
            carry += (uint64_t)x->limb[k] * 10;
            x->limb[k] = (uint32_t)carry;
            carry >>= 32;
        }
        if (carry)
            x->limb[x->n++] = (uint32_t)carry;
    }
    return is_zero || digits[0] != '0';
}

// The digits without the point and an exponent instead: strtod then does not depend on the locale.
static double read_real(const char *text, size_t n_whole, size_t n_behind)
{
    char digits[CALCULATOR_BYTES_MAX + 32];
    memcpy(digits, text, n_whole);
    memcpy(digits + n_whole, text + n_whole + 1, n_behind);
    snprintf(digits + n_whole + n_behind, 32, "e-%zu", n_behind);
    return strtod(digits, NULL);
}

static bool read_number(struct reader *r, struct value *out)
{
    const char *text = r->text + r->at;
    size_t n = 0, behind = 0;
    while (is_digit(text[n]))
        n++;
    r->at += n;
    if (text[n] != '.') {
        *out = (struct value){.kind = INTEGER};
        return read_integer(r, out, text, (int)n);
    }
    while (is_digit(text[n + 1 + behind]))
        behind++;
    r->at += 1 + behind;
    *out = (struct value){.kind = REAL, .real = read_real(text, n, behind)};
    return true;
}

static bool read_sum(struct reader *r, struct value *out);

static bool read_atom(struct reader *r, struct value *out)
{
    char c = next(r);
    const char *text = r->text + r->at;
    if (is_digit(c) || (c == '.' && is_digit(text[1])))
        return read_number(r, out);
    if (strncmp(text, "...", 3) == 0) {
        r->at += 3;
        *out = (struct value){.kind = ELLIPSIS};
        return true;
    }
    if (c != '(' || r->depth >= CALCULATOR_DEPTH_MAX)
        return false;
    r->at++;
    r->depth++;
    if (next(r) == ')')
        *out = (struct value){.kind = TUPLE};
    else if (!read_sum(r, out))
        return false;
    if (next(r) != ')')
        return false;
    r->at++;
    r->depth--;
    return true;
}

static bool read_factor(struct reader *r, struct value *out)
{
    bool has_sign = false, minus = false;
    for (char c; (c = next(r)) == '+' || c == '-'; r->at++) {
        has_sign = true;
        minus ^= c == '-';
    }
    if (!read_atom(r, out))
        return false;
    if (has_sign && out->kind > REAL)
        return false;
    if (minus && out->kind == INTEGER)
        out->negative ^= out->amount.n > 0;
    else if (minus)
        out->real = -out->real;
    return true;
}

static bool read_term(struct reader *r, struct value *out)
{
    if (!read_factor(r, out))
        return false;
    for (char op; (op = next(r)) == '*' || op == '/';) {
        struct value b;
        r->at++;
        if (op == '/' && r->text[r->at] == '/') {
            r->at++;
            op = 'f';
        }
        if (!read_factor(r, &b) || !apply(r, out, op, &b))
            return false;
    }
    return true;
}

static bool read_sum(struct reader *r, struct value *out)
{
    if (!read_term(r, out))
        return false;
    for (char op; (op = next(r)) == '+' || op == '-';) {
        struct value b;
        r->at++;
        if (!read_term(r, &b) || !apply(r, out, op, &b))
            return false;
    }
    return true;
}

// Writing

static struct error *write_integer(struct reader *r, const struct value *v, struct bytes *out)
{
    char digits[CALCULATOR_BYTES_MAX + 64];
    size_t at = sizeof digits;
    struct natural x;
    if (!shift_up(r, &x, v->amount, 0))
        return error_memory();
    do {
        uint64_t rest = 0;
        for (int i = x.n - 1; i >= 0; i--) {
            rest = rest << 32 | x.limb[i];
            x.limb[i] = (uint32_t)(rest / 10);
            rest %= 10;
        }
        trim(&x);
        digits[--at] = (char)('0' + rest);
    } while (x.n && at > 1);
    if (v->negative)
        digits[--at] = '-';
    return bytes_append(out, digits + at, sizeof digits - at);
}

static bool reads_back(const char *digits, int n, int exponent, double x)
{
    char text[48];
    snprintf(text, sizeof text, "%.*se%d", n, digits, exponent - (n - 1));
    return strtod(text, NULL) == x;
}

// The fewest digits d.ddd x 10^exponent that read back as x > 0; returns how many.
//
// Where n digits are enough, those nearest to x are, except at a power of two: the doubles below it lie closer than those above,
// so the nearest digits may read back as a lower one while the next higher digits read back as x.
static int shortest(double x, char digits[20], int *exponent)
{
    for (int n = 1;; n++) {
        char text[48];
        snprintf(text, sizeof text, "%.*e", n - 1, x);
        const char *e = strchr(text, 'e');
        *exponent = (int)strtol(e + 1, NULL, 10);
        int k = 0;
        for (const char *c = text; c < e; c++)
            if (is_digit(*c))
                digits[k++] = *c;
        if (n == 17 || reads_back(digits, n, *exponent, x))
            return n;
        for (k = n - 1; k > 0 && digits[k] == '9'; k--)
            digits[k] = '0';
        if (digits[k] != '9') {
            digits[k]++;
            if (reads_back(digits, n, *exponent, x))
                return n;
        }
    }
}

static struct error *write_real(double x, struct bytes *out)
{
    char text[64], digits[20];
    const char *sign = signbit(x) ? "-" : "";
    if (isnan(x))
        return bytes_append(out, "nan", 3);
    if (isinf(x) || x == 0) {
        snprintf(text, sizeof text, "%s%s", sign, x == 0 ? "0.0" : "inf");
        return bytes_append(out, text, strlen(text));
    }
    int exponent, n = shortest(fabs(x), digits, &exponent);
    if (exponent < -4 || exponent >= 16)
        snprintf(text, sizeof text, "%s%c%s%.*se%c%02d", sign, digits[0], n > 1 ? "." : "", n - 1, digits + 1,
                 exponent < 0 ? '-' : '+', abs(exponent));
    else if (exponent < 0)
        snprintf(text, sizeof text, "%s0.%.*s%.*s", sign, -exponent - 1, "000", n, digits);
    else if (n <= exponent + 1)
        snprintf(text, sizeof text, "%s%.*s%.*s.0", sign, n, digits, exponent + 1 - n, "000000000000000");
    else
        snprintf(text, sizeof text, "%s%.*s.%.*s", sign, exponent + 1, digits, n - exponent - 1, digits + exponent + 1);
    return bytes_append(out, text, strlen(text));
}

// The text without commas; false where it is too long or has something that is not arithmetic.
static bool clean(char to[CALCULATOR_BYTES_MAX + 1], const char *text, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == ',')
            continue;
        if (text[i] == '\0' || !strchr("0123456789*+-/.() ", text[i]) || k == CALCULATOR_BYTES_MAX)
            return false;
        to[k++] = text[i];
    }
    to[k] = '\0';
    return !strstr(to, "**");
}

struct error *calculator_evaluate(const char *text, size_t n, struct bytes *out, bool *has_result)
{
    char cleaned[CALCULATOR_BYTES_MAX + 1];
    *has_result = false;
    if (!clean(cleaned, text, n))
        return NULL;
    struct arena arena = {0};
    struct reader r = {.text = cleaned, .arena = &arena};
    struct value v;
    struct error *e = NULL;
    if (read_sum(&r, &v) && next(&r) == '\0') {
        if (v.kind == INTEGER)
            e = write_integer(&r, &v, out);
        else if (v.kind == REAL)
            e = write_real(v.real, out);
        else
            e = v.kind == TUPLE ? bytes_append(out, "()", 2) : bytes_append(out, "Ellipsis", 8);
        *has_result = !e;
    } else if (r.failed) {
        e = error_memory();
    }
    arena_release(&arena);
    return e;
}
