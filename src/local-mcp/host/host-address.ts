import { chmodSync, renameSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { dirname, join } from "node:path";
import { isPipe, linkSocket, markHost, prepareSocketFolder, unmarkHost } from "../../platform/host-socket.ts";
import { attempt } from "../../platform/log-file.ts";
import { inodeOf } from "../../platform/private-files.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { stackOf } from "../../shared/error.ts";
import { endStart } from "../host-client/reach-host.ts";

export interface HostAddressOptions {
  readonly runtime: Pick<Runtime, "paths" | "log">;
  readonly self: ProcessIdentity;
  readonly socket: string;
  readonly server: Server;
  /** The host could not begin. */
  readonly onUnreachable: (error: Error) => void;
}

const noInode = 0n;

/** Where a host can be reached: it is stated as long as the host lives, whatever removes it. */
export class HostAddress {
  readonly #options: HostAddressOptions;
  /** Inode of the socket; null: it is being made. */
  #inode: bigint | null = null;
  #wasStated = false;

  constructor(options: HostAddressOptions) {
    this.#options = options;
    options.server.on("error", (error) => {
      options.runtime.log("error", "the socket of the host", { error: stackOf(error) });
      this.#inode ??= noInode;
      if (!this.#wasStated) options.onUnreachable(error);
    });
    this.#state();
  }

  /** States the address again where its socket was removed or replaced. */
  keep(): void {
    const { runtime, socket, server } = this.#options;
    if (isPipe(socket) || this.#inode === null || inodeOf(socket) === this.#inode) return;
    runtime.log("warn", "the socket of the host is gone, and is made again");
    server.close();
    void attempt(runtime.log, "the socket of the host", () => this.#state());
  }

  /** Leaves what is there of the next host. */
  remove(): void {
    const { runtime, self, socket } = this.#options;
    void attempt(runtime.log, "the address of the host", () => {
      if (!isPipe(socket) && this.#inode !== null && inodeOf(socket) === this.#inode) rmSync(socket);
      unmarkHost(runtime.paths.home, self);
    });
  }

  /** The end of a server removes the name that its socket was bound to: so that is another one. */
  #state(): void {
    const { runtime, self, socket, server } = this.#options;
    const bound = isPipe(socket) ? socket : join(dirname(socket), `host-${self.pid}.new`);
    prepareSocketFolder(runtime.paths.home, socket);
    if (bound !== socket) rmSync(bound, { force: true });
    this.#inode = null;
    server.listen(bound, () => void attempt(runtime.log, "the address of the host", () => this.#open(bound)));
  }

  #open(bound: string): void {
    const { runtime, self, socket } = this.#options;
    const { home } = runtime.paths;
    // A failure from here on leads to another attempt.
    this.#inode = noInode;
    this.#wasStated = true;
    if (bound !== socket) {
      chmodSync(bound, 0o600);
      renameSync(bound, socket);
    }
    // Without the link each event starts a program, as without a host.
    linkSocket(home, socket);
    markHost(home, self);
    endStart(home);
    if (!isPipe(socket)) this.#inode = inodeOf(socket);
  }
}
