package ir

// The ops, by family; each family's rows stand in op_<family>.go.
const (
	// Structural.
	OpParam Op = iota
	OpFused
	OpGet

	// Control flow.
	OpCond
	OpWhile
	OpScan

	// Elementwise, one operand.
	OpNeg
	OpAbs
	OpSign
	OpFloor
	OpCeil
	OpRound
	OpTrunc
	OpSqrt
	OpRsqrt
	OpCbrt
	OpExp
	OpExp2
	OpExpm1
	OpLog
	OpLog2
	OpLog1p
	OpSin
	OpCos
	OpTan
	OpAsin
	OpAcos
	OpAtan
	OpSinh
	OpCosh
	OpTanh
	OpSigmoid
	OpErf
	OpNot
	OpIsNaN
	OpIsFinite
	OpCast

	// Elementwise, two and three operands.
	OpAdd
	OpSub
	OpMul
	OpDiv
	OpRem
	OpMax
	OpMin
	OpPow
	OpAtan2
	OpAnd
	OpOr
	OpXor
	OpShl
	OpShr
	OpEq
	OpNe
	OpLt
	OpLe
	OpGt
	OpGe
	OpSelect

	// Sources.
	OpConstant
	OpIota

	// Shape.
	OpReshape
	OpBroadcast
	OpTranspose
	OpSlice
	OpReverse

	// Indexed.
	OpPad
	OpPatches
	OpConcat
	OpGather
	OpDynamicSlice
	OpDynamicUpdateSlice
	OpScatter

	// Sizes from data, and data from sizes.
	OpNonzero
	OpRepeat
	OpSizeFrom
	OpMaskedSelect
	OpSize

	// Reductions.
	OpReduceSum
	OpReduceProd
	OpReduceMax
	OpReduceMin
	OpReduceAny
	OpReduceAll
	OpReduceWindow

	// Contractions.
	OpDotGeneral
	OpConvolution

	// Composites.
	OpArgmax
	OpArgmin
	OpMean
	OpVariance
	OpCumulative
	OpClamp
	OpSquare
	OpReciprocal
	OpMatmul
	OpLinear
	OpRelu
	OpSilu
	OpGelu
	OpSoftmax
	OpLogSoftmax
	OpLayerNorm
	OpRMSNorm
	OpBatchNorm
	OpEmbedding
	OpMaxPool
	OpAvgPool
	OpAttention
	OpCrossEntropy

	numOps
)
