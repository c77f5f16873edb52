import { requestHost } from "../../platform/host-request.ts";
import { hostSocket, markedHost } from "../../platform/host-socket.ts";
import { fileLog } from "../../platform/log-file.ts";
import { pathsIn } from "../../platform/paths.ts";
import { systemProcesses } from "../../platform/processes.ts";
import { HostWatch, killHost } from "../front/host-watch.ts";

/** Interval at which the host is identified, which may be started only during the work. */
const findEveryMs = 1_000;

/**
 * [PR33] Pings the host during `work`, which waits for it. A host that answers nothing for five
 * seconds is ended, as by a front, and the work's connection with it.
 *
 * @param onEnded called when it is ended
 */
export async function whileWatched<T>(home: string, work: () => Promise<T>, onEnded: () => void): Promise<T> {
  const boot = systemProcesses.boot();
  const over = new AbortController();
  const ping = async (): Promise<void> => {
    const { signal } = over;
    // A host without its mark has announced long work.
    watch.noteLongWork(markedHost(home, boot) !== null);
    const answer = await requestHost(hostSocket(home, boot), { method: "GET", path: "/status", signal });
    answer?.resume();
    watch.noteAnswer();
  };
  const watch: HostWatch = new HostWatch({
    isWaiting: () => !over.signal.aborted,
    // Rejects when the work or the host has ended.
    ping: () => void ping().catch(() => undefined),
    endHost: (host) => {
      onEnded();
      killHost(host);
    },
    now: Date.now,
    schedule: (check, ms) => void setTimeout(check, ms).unref(),
    log: fileLog(pathsIn(home).log, Date.now),
  });
  let watched: string | null = null;
  const find = (): void => {
    const host = markedHost(home, boot);
    if (host === null || host.start === watched) return;
    watched = host.start;
    watch.begin(host);
    watch.ping();
  };
  find();
  const timer = setInterval(find, findEveryMs).unref();
  try {
    return await work();
  } finally {
    clearInterval(timer);
    over.abort();
  }
}
