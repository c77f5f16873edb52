import { connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** A stretch of network that can be cut: what is under way stays open on both sides, and nothing goes through any more. */
export class CutProxy {
  #isCut = false;
  readonly #sockets = new Set<Socket>();

  readonly url: string;

  private constructor(url: string) {
    this.url = url;
  }

  static async to(target: string): Promise<CutProxy> {
    const { port, hostname } = new URL(target);
    const held: { proxy: CutProxy | null } = { proxy: null };
    const server = createServer((near) => {
      const far = connect(Number(port), hostname);
      held.proxy?.join(near, far);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (typeof address !== "object" || address === null) throw new Error("the proxy has no port");
    const proxy = new CutProxy(`http://127.0.0.1:${address.port}`);
    held.proxy = proxy;
    onTestFinished(() => {
      for (const socket of proxy.#sockets) socket.destroy();
      server.close();
    });
    return proxy;
  }

  join(near: Socket, far: Socket): void {
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.on("data", (data) => {
        if (!this.#isCut) to.write(data);
      });
      from.on("close", () => {
        this.#sockets.delete(from);
        if (!this.#isCut) to.destroy();
      });
      from.on("error", () => undefined);
    }
  }

  cut(): void {
    this.#isCut = true;
  }

  /** New connections get through; what was open when it was cut is broken by now. */
  heal(): void {
    this.#isCut = false;
    for (const socket of this.#sockets) socket.destroy();
  }
}
