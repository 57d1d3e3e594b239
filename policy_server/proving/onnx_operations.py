"""The operations of ONNX that are served: arithmetic on the numbers that a file and a client give.

What is not listed is refused by name. Left out are texts, pictures that are decoded, sequences and
optional values, windows of signals, and whatever is defined outside of ONNX.
"""

STANDARD, TREES, RUNTIME = "", "ai.onnx.ml", "com.microsoft"
"""Domains: ONNX itself, its classical machine learning, and what ONNX Runtime adds."""

ALIASES = {"ai.onnx": STANDARD}

ELEMENTWISE = (
    "Abs Acos Acosh Add And Asin Asinh Atan Atanh BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr "
    "BitwiseXor Cast CastLike Ceil Celu Clip Cos Cosh DequantizeLinear Div Dropout "
    "DynamicQuantizeLinear Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid "
    "HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg "
    "Not Or PRelu Pow QuantizeLinear Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh "
    "Softplus Softsign Sqrt Sub Sum SwiGLU Swish Tan Tanh ThresholdedRelu Where Xor"
)
REDUCING = (
    "ArgMax ArgMin CumProd CumSum Hardmax LogSoftmax LpNormalization ReduceL1 ReduceL2 "
    "ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum "
    "ReduceSumSquare Softmax TopK Unique"
)
LAYERS = (
    "Attention AveragePool BatchNormalization Conv ConvInteger ConvTranspose Det Einsum GRU Gemm "
    "GlobalAveragePool GlobalLpPool GlobalMaxPool GridSample GroupNormalization "
    "InstanceNormalization LRN LSTM LayerNormalization LpPool MatMul MatMulInteger MaxPool "
    "MeanVarianceNormalization QLinearConv QLinearMatMul RMSNormalization RNN RotaryEmbedding"
)
SHAPING = (
    "CenterCropPad Compress Concat Constant ConstantOfShape DepthToSpace Expand EyeLike Flatten "
    "Gather GatherElements GatherND NonZero OneHot Pad Range Reshape Resize ReverseSequence "
    "Scatter ScatterElements ScatterND Shape Size Slice SpaceToDepth Split Squeeze Tile Transpose "
    "Trilu Unsqueeze Upsample"
)
DRAWING = "Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike"
CONTROL = "If Loop Scan"
CLASSICAL = (
    "ArrayFeatureExtractor Binarizer FeatureVectorizer Imputer LinearClassifier LinearRegressor "
    "Normalizer OneHotEncoder SVMRegressor Scaler TreeEnsemble TreeEnsembleRegressor"
)
FUSED = "BiasGelu FastGelu FusedMatMul Gelu QuickGelu"

ALLOWED: dict[str, frozenset[str]] = {
    STANDARD: frozenset(f"{ELEMENTWISE} {REDUCING} {LAYERS} {SHAPING} {DRAWING} {CONTROL}".split()),
    TREES: frozenset(CLASSICAL.split()),
    RUNTIME: frozenset(FUSED.split()),
}
"""By domain; DRAWING only beside the output that is served, which is refused where it is drawn."""

LIKE_THEIR_INPUT = frozenset({*FUSED.split(), "Binarizer", "Imputer", "Normalizer", "Scaler"})
LIKE_THEIR_INPUT -= {"FusedMatMul"}
"""What ONNX has no rule of sizes for: their outputs are as large as their first input."""

SIZED = (
    "AveragePool CenterCropPad Conv ConvInteger ConvTranspose ConstantOfShape Einsum Expand "
    "EyeLike LpPool MaxPool Multinomial OneHot OneHotEncoder Pad QLinearConv RandomNormal "
    "RandomUniform Range Resize RotaryEmbedding TreeEnsemble TreeEnsembleRegressor Tile "
    "Upsample"
)
SIZED_BY_ATTRIBUTES = frozenset(SIZED.split())
"""Whose outputs can be larger than all their inputs multiplied: their sizes have to be known."""
