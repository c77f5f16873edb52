/** Pure. Where a host name of an address can be reached from, as far as the name says it. */

export type HostReach = "machine" | "network" | "anywhere";

/** Private and link-local ranges (RFC 1918, 3927, 4193), and names that no public server has. */
const ofNetwork =
  /^(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01])|169\.254)\.|^\[f[cde]|^[^.]+$|\.(?:local|lan|home|internal|corp|arpa)$/;

/** @param hostname as a URL has it */
export function reachOf(hostname: string): HostReach {
  if (/^(?:localhost|127(?:\.\d+){3}|\[::1\])$|\.localhost$/.test(hostname)) return "machine";
  return ofNetwork.test(hostname) ? "network" : "anywhere";
}
