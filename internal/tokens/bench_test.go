package tokens

import "testing"

func BenchmarkVerify(b *testing.B) {
	for _, algorithm := range Algorithms {
		b.Run(algorithm, func(b *testing.B) {
			s := setup(b, algorithm)
			token := issue(b, s.Service)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
