package assettest

import "net/netip"

// Place is what a geo-IP database and threat intelligence know of an address.
type Place struct {
	Country, ISO, City string
	AS                 string // "AS64500"
	ASName             string
	// Tor tells that the address is known as an exit of Tor.
	Tor bool
}

// Places says where addresses are.
type Places map[netip.Prefix]Place

// locate is what the GeoIP parser writes for an address: an empty object for
// one that it does not know.
func (p Places) locate(ip string) map[string]any {
	place, ok := p.find(ip)
	if !ok {
		return map[string]any{}
	}
	return map[string]any{
		"country": map[string]any{"name": place.Country, "iso_code": place.ISO},
		"city":    map[string]any{"name": place.City},
		"as":      map[string]any{"number": place.AS, "name": place.ASName},
	}
}

func (p Places) find(ip string) (Place, bool) {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return Place{}, false
	}
	best, found := netip.Prefix{}, false
	for prefix := range p {
		if prefix.Contains(a) && (!found || prefix.Bits() > best.Bits()) {
			best, found = prefix, true
		}
	}
	return p[best], found
}

// Warn adds what Datadog's threat intelligence adds to a log whose
// network.client.ip is known to be bad.
func (p Places) Warn(l Log) Log {
	place, ok := p.find(l.First("network.client.ip"))
	if !ok || !place.Tor {
		return l
	}
	out := l.clone()
	out.Set("threat_intel.results", []any{map[string]any{
		"category": "tor", "intention": "suspicious", "indicator": l.First("network.client.ip"), "type": "ip",
	}})
	return out
}

// MadeUpPlaces is where the people of atlassiantest are. The addresses are those
// set apart for documentation, the networks those set apart for private use.
func MadeUpPlaces() Places {
	return Places{
		netip.MustParsePrefix("198.51.100.0/24"): {Country: "Germany", ISO: "DE", City: "Berlin", AS: "AS64512", ASName: "Office"},
		netip.MustParsePrefix("203.0.113.0/24"):  {Country: "Netherlands", ISO: "NL", City: "Utrecht", AS: "AS64513", ASName: "Home"},
		netip.MustParsePrefix("2001:db8::/32"):   {Country: "France", ISO: "FR", City: "Lyon", AS: "AS64514", ASName: "Mobile"},
		netip.MustParsePrefix("192.0.2.0/24"):    {Country: "Brazil", ISO: "BR", City: "Recife", AS: "AS64515", ASName: "Hosting"},
		netip.MustParsePrefix("192.0.2.199/32"):  {Country: "Iceland", ISO: "IS", City: "Akureyri", AS: "AS64516", ASName: "Hosting", Tor: true},
	}
}
