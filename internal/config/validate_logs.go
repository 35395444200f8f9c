package config

import "regexp"

const logLevel = `\s*(?:[a-z]+=)?(?:debug|info|warn|error)\s*`

var logLevels = regexp.MustCompile("^" + logLevel + "(?:," + logLevel + ")*$")

// checkLogs leaves to package telemetry whether there are such loggers.
func (c *Config) checkLogs(p *problems) {
	p.must(logLevels.MatchString(c.Log.Level), "AUTH_LOG_LEVEL", "must be debug, info, warn or error, with exceptions such as info,jobs=debug")
	l := c.Logstash
	p.must(l.Addr == "" || isAddress(l.Addr), "AUTH_LOGSTASH_ADDR", "must be an address such as logstash.example.com:5000")
	p.must(l.QueueMB >= 1 && l.QueueMB <= 1024, "AUTH_LOGSTASH_QUEUE_MB", "must be from 1 to 1024")
	const ca, cert, key, needsTLS = "AUTH_LOGSTASH_CA_FILE", "AUTH_LOGSTASH_CERT_FILE", "AUTH_LOGSTASH_KEY_FILE", "needs AUTH_LOGSTASH_TLS=true"
	p.must(l.TLS || l.CAFile == "", ca, needsTLS)
	p.must(l.CertFile == "" || l.KeyFile != "", cert, "needs "+key)
	p.must(l.KeyFile == "" || l.CertFile != "", key, "needs "+cert)
	p.must(l.TLS || l.CertFile == "", cert, needsTLS)
}
