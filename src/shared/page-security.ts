/** Pure. Checks of requests to the live page, and headers of its answers, on both hosts. */

export interface PageRequest {
  readonly method: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** Sec-Fetch-Site, which no script can set. */
  readonly fetchSite: string | undefined;
  readonly contentType: string | undefined;
}

export interface PageRefusal {
  readonly status: 403 | 415 | 421;
  readonly message: string;
}

const safeMethods: ReadonlySet<string> = new Set(["GET", "HEAD"]);
const ownSites: ReadonlySet<string> = new Set(["same-origin", "none"]);

/**
 * [WP2] [WP3] Runs before routing. Host and Origin are compared with the list, never with each
 * other: a rebound name sends both.
 * @param origins the only ones that are served, such as `http://127.0.0.1:4000`
 */
export function checkPageRequest(request: PageRequest, origins: readonly string[]): PageRefusal | null {
  if (!isOwnHost(request.host, origins)) return { status: 421, message: `use ${origins[0]}` };
  if (safeMethods.has(request.method)) return null;
  if (!isFromPage(request, origins)) return { status: 403, message: "only the page itself may send this" };
  return isJson(request) ? null : { status: 415, message: "send application/json" };
}

export function isOwnHost(host = "", origins: readonly string[]): boolean {
  return origins.some((one) => one.slice(one.indexOf("//") + 2) === host.toLowerCase());
}

/** An absent Origin is no proof; browsers send one with every POST. */
export function isFromPage(
  { origin, fetchSite }: Pick<PageRequest, "origin" | "fetchSite">,
  origins: readonly string[],
): boolean {
  const isOwnSite = fetchSite === undefined || ownSites.has(fetchSite);
  return isOwnSite && origin !== undefined && origins.includes(origin);
}

/** No form can send this type, and no script of another site without a preflight. */
function isJson({ contentType = "" }: PageRequest): boolean {
  const [type = ""] = contentType.toLowerCase().split(";");
  return type.trim() === "application/json";
}

export function loopbackOrigins(port: number): string[] {
  return ["127.0.0.1", "localhost", "[::1]"].map((name) => `http://${name}:${port}`);
}

const policy = {
  "default-src": "'none'",
  "script-src": "'self'",
  "style-src": "'self'",
  "connect-src": "'self'",
  "img-src": "'self'",
  "base-uri": "'none'",
  "form-action": "'none'",
  "frame-ancestors": "'none'",
  "require-trusted-types-for": "'script'",
  "trusted-types": "'none'",
};

/** [WP4] Headers of every answer. */
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

/** [WP4] Headers of every answer with data. */
export const dataHeaders: Readonly<Record<string, string>> = { ...pageHeaders, "cache-control": "no-store" };
