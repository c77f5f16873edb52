/**
 * The key under which failures of one client are counted; null: nobody knows where the request comes from. Cloudflare overwrites what a client
 * has sent in the header. The local runtime does not, so there all callers count as one.
 *
 * @param address as `cf-connecting-ip` says
 */
export function clientKey(isLocal: boolean, address: string | undefined): string | null {
  if (isLocal) return "local";
  return address === undefined ? null : networkOf(address);
}

/** Of IPv6 the /64 network, all of whose addresses one client may use (RFC 6177); an IPv4 address as it is. */
function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.toLowerCase().split("::");
  const before = groupsOf(head);
  const after = groupsOf(tail ?? "");
  const zeros = Math.max(0, 8 - before.length - after.length);
  const groups = [...before, ...Array.from({ length: zeros }, () => "0"), ...after].slice(0, 4);
  return groups.map((group) => group.replace(/^0+(?=.)/, "")).join(":");
}

function groupsOf(text: string): string[] {
  return text === "" ? [] : text.split(":");
}
