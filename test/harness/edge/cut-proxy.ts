import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** A stretch of network that can be cut: what is under way stays open on both sides, and nothing goes through any more. */
export class CutProxy {
  url = "";
  #isCut = false;
  readonly #sockets = new Set<Socket>();

  static async to(target: string): Promise<CutProxy> {
    const { port, hostname } = new URL(target);
    const proxy = new CutProxy();
    const server = createServer((near) => proxy.join(near, connect(Number(port), hostname)));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
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
