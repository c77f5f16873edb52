/** Never of the public internet: RFC 6761, 6762, 8375, ICANN, and customs of routers. */
const privateSuffix =
  /\.(?:localhost|localdomain|local|internal|intranet|private|corp|home|lan|arpa|test|invalid|onion|alt)$/;
/** Labels of a name that ends in no number: whatever ends in one is an address (WHATWG URL). */
const dottedName = /^(?:[a-z0-9_-]+\.)+[a-z][a-z0-9-]*$/;

/** Pure. @param hostname of a URL, which spells each address in one way */
export function isPublicName(hostname: string): boolean {
  const name = hostname.toLowerCase().replace(/\.$/, "");
  return dottedName.test(name) && !privateSuffix.test(name);
}

const guards = new WeakSet<typeof fetch>();

/**
 * The library fetches documents and keys of clients, from addresses that anybody may send,
 * with the global fetch and without a setting for it. Nothing else of the Worker uses that one.
 */
export function guardFetch(): void {
  const { fetch: plain } = globalThis;
  if (guards.has(plain)) return;
  const guard: typeof fetch = async (input: RequestInfo | URL, init?: RequestInit) => {
    const { hostname } = new URL(input instanceof Request ? input.url : input);
    if (!isPublicName(hostname)) throw new TypeError(`${hostname} is no name of the public internet`);
    return plain(input, { ...init, redirect: "manual" });
  };
  guards.add(guard);
  globalThis.fetch = guard;
}
