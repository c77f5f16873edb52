/** Pure. Checks of requests to the live page, and headers of its answers, on both hosts. */

const ownSites: ReadonlySet<string> = new Set(["same-origin", "none"]);

/** Compared with a list, not with each other: a rebound name is in Host and Origin. */
export function isOwnHost(host = "", origins: readonly string[]): boolean {
  return origins.some((one) => one.slice(one.indexOf("//") + 2) === host.toLowerCase());
}

/**
 * An absent Origin is no proof; browsers send one with every POST.
 *
 * @param sender `fetchSite`: Sec-Fetch-Site, which no script can set
 * @param origins the only ones that are served, such as `http://127.0.0.1:4000`
 */
export function isFromPage(
  { origin, fetchSite }: { readonly origin: string | undefined; readonly fetchSite: string | undefined },
  origins: readonly string[],
): boolean {
  const isOwnSite = fetchSite === undefined || ownSites.has(fetchSite);
  return isOwnSite && origin !== undefined && origins.includes(origin);
}

export function loopbackOrigins(port: number): string[] {
  return ["127.0.0.1", "localhost", "[::1]"].map((name) => `http://${name}:${port}`);
}

const policy = {
  "default-src": "'none'",
  "script-src": "'self'",
  "style-src": "'self'",
  "connect-src": "'self'",
  // Pictures of a chat are fetched as data.
  "img-src": "'self' blob:",
  "base-uri": "'none'",
  "form-action": "'none'",
  "frame-ancestors": "'none'",
  "require-trusted-types-for": "'script'",
  "manifest-src": "'self'",
  "worker-src": "'self'",
  // Its policy names one file.
  "trusted-types": "shim-worker",
};

/** Headers of every answer. */
export const pageHeaders: Readonly<Record<string, string>> = {
  "content-security-policy": Object.entries(policy)
    .map(([name, value]) => `${name} ${value}`)
    .join("; "),
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  "x-frame-options": "DENY",
};

/** Headers of every answer with data. */
export const dataHeaders: Readonly<Record<string, string>> = { ...pageHeaders, "cache-control": "no-store" };
