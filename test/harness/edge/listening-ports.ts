import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** The TCP ports on which one of these processes listens, by proc(5). */
export function listeningPorts(pids: readonly number[]): number[] {
  const sockets = new Set(pids.flatMap(socketsOf));
  const rows = ["tcp", "tcp6"].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, "utf8").trim().split("\n").slice(1),
  );
  const ports = rows.flatMap((row) => {
    const [, local = "", , state, , , , , , inode = ""] = row.trim().split(/\s+/);
    return state === listening && sockets.has(inode) ? [Number.parseInt(local.split(":")[1] ?? "", 16)] : [];
  });
  return [...new Set(ports)];
}

/** Of the kernel's tcp_states.h. */
const listening = "0A";

function socketsOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  const links = unlessGone(() => readdirSync(folder), []).map((fd) =>
    unlessGone(() => readlinkSync(`${folder}/${fd}`), ""),
  );
  return links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []);
}

/** A process may end, and close a file, at any moment. */
function unlessGone<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
