// Package fake is a cuBLASLt without a GPU: it computes on the memory of a fake driver
// (package driver/fake), when the stream that it was queued on gets there.
//
//	d := driverfake.New(driverfake.Config{})
//	lt := fake.New(d, fake.Config{Workspace: 4096})
//
// It is a library that is hard on its caller:
//
//   - Problems, addresses and handles are checked as the library documents them, and
//     more: a workspace must be at a multiple of 256 bytes, which makes it fast.
//   - With a workspace it computes in two pieces of work, with parts of the sums in the
//     workspace between them, which fail to be found there where others write it.
//   - The algorithms that it offers first are those that add up in the type of the
//     result, where the problem does not forbid that.
//
// Sums are of exact products in float64, rounded once. Safe for concurrent use.
package fake
