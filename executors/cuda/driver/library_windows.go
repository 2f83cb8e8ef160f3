package driver

var driverNames = []string{"nvcuda.dll"}

// assemblerNames is empty: the driver's assembler is not on the search path.
var assemblerNames []string
