package shared

// What the tests, which stand outside because sharedtest imports this package,
// look into.
var (
	Sum         = sum
	Seal        = seal
	EncodePiece = encodePiece
	DecodePiece = decodePiece
	EncodeHead  = encodeHead
	DecodeHead  = decodeHead
)
