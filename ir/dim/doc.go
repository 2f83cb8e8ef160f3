// Package dim holds symbolic sizes: integer expressions over named symbols,
// and the facts that are known of those symbols.
//
// An [Expr] is built from integers, symbols, +, *, floordiv, mod, min and max,
// and is kept in a normal form: a polynomial with int64 coefficients over
// atoms. An atom is a symbol or an irreducible floordiv, mod, min or max whose
// arguments are again normal. Two expressions that differ only by ring
// arithmetic are therefore one expression:
//
//	(a + b)*c            ==  a*c + b*c
//	4*B floordiv 4       ==  B
//	(4*B + 3) mod 4      ==  3
//	(x floordiv 2) floordiv 3 == x floordiv 6
//
// Whatever needs to know more than the expression itself (a range, a
// divisibility, an equality, a relation of symbols) is asked of a [Facts].
//
// A [Constraint] is a condition on sizes, kept in a normal form of its own:
// e == 0, e != 0, e >= 0, n divides e, or n does not. Facts learn constraints
// ([Facts.Assume]), decide them ([Facts.Decide]) and list them. What they say of
// one symbol becomes its range, divisor or value; the others are relations, and
// every proof reasons with them: e >= 0 holds where a linear program over
// monomials, whose rows are the relations and the definitions of floordiv, mod,
// min and max, has an optimum of at least 0. [Reduce] finds a minimal part of
// constraints that says the same, [Smallest] the smallest sizes that satisfy
// some and escape others.
//
// The files, in the order of who uses whom:
//
//	arith, interval          int64 and intervals that say when they overflow
//	expr, poly, divide, ...  the normal form of expressions
//	constraint*              the normal form of conditions
//	facts, ranges, simplify, prove   what is known of single symbols
//	simplex, program, derive         linear programs; what relations imply
//	assume, decide, reduce           learning, deciding, minimal parts
//	contract, smallest       branch and bound over boxes of sizes
//
// Invariants:
//   - An expression is immutable, a constant is allocation-free, and the zero
//     value is the constant 0.
//   - Monomials are sorted by the graded lexicographic order (largest first,
//     the constant last), coefficients are non-zero, and a divisor that is a
//     constant is greater than one (or is a zero or the least int64, which
//     have no normal form).
//   - Nothing wraps around: a coefficient that leaves int64 makes the
//     expression [Expr.Invalid], as does one of more than [MaxSize] nodes.
//     Invalid is contagious.
//   - A proof says "true" or "known" only of what holds for all sizes that the
//     facts admit and for which the expression has a value. Its work is bounded;
//     beyond the bounds, and on overflow, it says "unknown".
//   - Facts are read back from their texts equal to what they were. What
//     relations imply is worked out anew, never stated.
//   - Normalising may extend the domain but never changes a value:
//     (x floordiv y) - (x floordiv y) is 0 also where y is 0.
//   - Floordiv rounds to minus infinity and mod takes the sign of the divisor,
//     so x == y*(x floordiv y) + x mod y for every y but 0.
//
// A worked example, the output size of a strided convolution:
//
//	H := dim.Sym("H")
//	out := H.Add(dim.Const(2-3)).FloorDiv(dim.Const(2)).Add(dim.Const(1))
//	out.String()           // (H + 1) floordiv 2
//	f := dim.NewFacts()
//	f.ParseFact("H in [8, 224]")
//	f.ParseFact("H % 8 == 0")
//	f.Simplify(out)        // H floordiv 2
//	f.Range(out)           // 4, 112
//
// And one with a relation, of a slice that may not leave its axis:
//
//	f.ParseFact("S <= H")
//	f.Simplify(min(S, H))          // S
//	f.Decide(S floordiv 2 <= 112)  // true, known
package dim
