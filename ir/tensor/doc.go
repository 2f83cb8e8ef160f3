// Package tensor holds element types and tensors: typed, strided views of 64-byte
// aligned host memory, and the file formats they travel in. A tensor may lie on a
// device (OnDevice): it then has an address, and is brought to the host to be read.
//
// It is the bottom of the house and imports nothing of it. The other packages
// use it for constants, inputs and results, for reference evaluation (Floats,
// Ints, FromFloats, FromInts), for generated inputs (Generate) and to compare
// results in tests (Compare).
//
// Invariants: a tensor's header never changes; its storage is aligned to the
// element size; every element its shape addresses lies within the storage; the
// bytes of a bool are 0 or 1. Memory is in the machine's byte order, files are
// written little-endian. Every value that enters a narrower type is rounded
// once. What comes from outside (shapes, views, files) gives an error when it is
// wrong, and nothing is allocated on a file's word before its size is checked.
//
// The constant of
//
//	%w = constant : f32[2,3]
//
// is a tensor:
//
//	w, err := tensor.Generate(tensor.Rule{Kind: "normal", Seed: 1, Std: 0.02}, tensor.F32, []int{2, 3})
//	t, err := w.Permute(1, 0)                 // a view: f32[3,2], strides [1 3]
//	h := tensor.Cast(t, tensor.F16)           // row-major again
//	err = tensor.Check(h, want, tensor.Tolerance{ULP: 1})
//	err = tensor.WriteFile("w.safetensors", map[string]*tensor.Tensor{"w": w})
package tensor
