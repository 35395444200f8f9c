package authclient

import "encoding/json"

// Operation returns g as an operation of a batch; its Type need not be set.
func (g BatchGrant) Operation() BatchOperation {
	g.Type = BatchGrantTypeGrant
	return operation(g)
}

// Operation returns d as an operation of a batch; its Type need not be set.
func (d BatchDebit) Operation() BatchOperation {
	d.Type = BatchDebitTypeDebit
	return operation(d)
}

// Operation returns t as an operation of a batch; its Type need not be set.
func (t BatchTransfer) Operation() BatchOperation {
	t.Type = BatchTransferTypeTransfer
	return operation(t)
}

// operation encodes one operation. Only Metadata that is no JSON cannot be
// encoded; what stands for it then is none either, so that sending it fails.
// (The generated From… methods pass numbers in Metadata through float64.)
func operation(o any) BatchOperation {
	encoded, err := json.Marshal(o)
	if err != nil {
		encoded = json.RawMessage(err.Error())
	}
	return BatchOperation{union: encoded}
}
