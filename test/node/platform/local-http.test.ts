import { createServer } from "node:net";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { askHost } from "#src/platform/local-http.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";

/** A host that writes these parts, and closes the connection. */
async function hostThatSays(...parts: readonly string[]): Promise<string> {
  const path = join(temporaryFolder(), "host.sock");
  const server = createServer((socket) => {
    socket.once("data", () => {
      for (const part of parts) socket.write(part);
      socket.end();
    });
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => void server.listen(path, resolve));
  return path;
}

const request = { method: "GET", path: "/", signal: new AbortController().signal } as const;
const held = "HTTP/1.1 102 Processing\r\n\r\n";

it("an answer by hand is whole text with its status, also after it was held", async () => {
  const answer = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\ngrößer";
  const whole = { statusCode: 200, fields: new Map([["content-length", "8"]]), text: "größer" };
  let count = 0;
  const onHeld = (): void => void (count += 1);
  expect(await askHost(await hostThatSays(answer), { ...request, onHeld })).toEqual(whole);
  expect(count).toBe(0);
  const asked = askHost(await hostThatSays(held, answer), { ...request, onHeld });
  expect(await asked).toEqual(whole);
  expect(count).toBe(1);
});

it.each(["", held, "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ngrößer"])(
  "a connection that ends before the whole answer is no answer: %j",
  async (said) => {
    await expect(askHost(await hostThatSays(said), request)).rejects.toThrow("ended before its answer");
  },
);

it("without a host there is none, and a header that could begin another is not sent", async () => {
  expect(await askHost(join(temporaryFolder(), "none.sock"), request)).toBeNull();
  const asked = askHost(await hostThatSays(""), { ...request, headers: { a: "b\r\nc: d" } });
  await expect(asked).rejects.toThrow("other characters");
});
