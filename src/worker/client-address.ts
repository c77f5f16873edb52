/** One key for all callers of the local runtime, where a client can choose its address. */
export function clientKey(isLocal: boolean, address: string | undefined): string | null {
  if (isLocal) return "local";
  return address === undefined ? null : networkOf(address);
}

/** Returns the /64 network of an IPv6 address, which one client may use as a whole (RFC 6177). */
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
