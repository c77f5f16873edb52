import { requestHost } from "../../platform/host-request.ts";
import { checkSocketFolder, hostSocket, markedHost } from "../../platform/host-socket.ts";
import { fileLog } from "../../platform/log-file.ts";
import { pathsIn } from "../../platform/paths.ts";
import { systemProcesses } from "../../platform/processes.ts";
import { HostWatch, killHost } from "../front/host-watch.ts";

/** Interval at which the host is identified, which may be started only during the work. */
const findEveryMs = 1_000;

/**
 * [PR33] Pings the host before `work`, and during it. A host that answers nothing for five seconds
 * is ended, as by a front, and the work's connection with it.
 *
 * @param onEnded called when it is ended
 */
export async function whileWatched<T>(home: string, work: () => Promise<T>, onEnded: () => void): Promise<T> {
  const boot = systemProcesses.boot();
  const over = new AbortController();
  let answered = Promise.resolve();
  const ping = async (): Promise<void> => {
    const { signal } = over;
    // A host without its mark has announced long work.
    watch.noteLongWork(markedHost(home, boot) !== null);
    try {
      const socket = hostSocket(home, boot);
      checkSocketFolder(home, socket);
      const answer = await requestHost(socket, { method: "GET", path: "/status", signal });
      answer?.resume();
      watch.noteAnswer();
    } catch {
      // The work or the host has ended, or others may enter its folder, which the work finds.
    }
  };
  const watch: HostWatch = new HostWatch({
    isWaiting: () => !over.signal.aborted,
    ping: () => void (answered = ping()),
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
    await answered;
    return await work();
  } finally {
    clearInterval(timer);
    over.abort();
  }
}
