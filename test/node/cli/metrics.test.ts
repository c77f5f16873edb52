import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { aCliHome, aSeededHome, failed, printed, type CliHome } from "#harness/machine/cli-home.ts";
import { given } from "#harness/coordinator/state-calls.ts";

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly text: string;
}

interface Asked {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
}

function ask(url: string, { path = "/metrics", method = "GET", headers = {} }: Asked = {}): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const call = request(new URL(path, url), { method, headers, agent: false }, (response) => {
    let text = "";
    response.setEncoding("utf8").on("data", (part: string) => (text += part));
    response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
  });
  call.on("error", reject).end();
  return promise;
}

function tokenOf(home: CliHome): string {
  return readFileSync(join(home.paths.home, "metrics-token"), "utf8").trim();
}

/** `work` runs while it listens, then comes Ctrl-C. */
async function whileListening(
  home: CliHome,
  work: (url: string, bearer: Record<string, string>) => Promise<void>,
  args = "--listen 0",
): Promise<number> {
  const stop = new AbortController();
  let said = "";
  let isDone = false;
  const { code } = await home.shimWith(
    {
      interrupted: () => stop.signal,
      stderr: (text) => void (said += text),
      wait: async () => {
        const [url = ""] = /http:\S+\/metrics/.exec(said) ?? [];
        try {
          await work(url, { authorization: `Bearer ${tokenOf(home)}` });
          isDone = true;
        } finally {
          stop.abort();
        }
      },
    },
    `doctor metrics ${args}`,
  );
  expect([isDone, said]).toEqual([true, expect.stringContaining("metrics-token")]);
  return code;
}

it("the command prints the metrics of the machine and of its own coordinator as Prometheus text", async () => {
  const home = aSeededHome();
  given(home.coordinator().call("tasks.submit", { tasks: [{ type: "build" }] }));
  expect(await home.shim("doctor metrics")).toMatchObject(
    printed(
      /^# HELP shim_sessions Chats that are alive, by what they do\.\n# TYPE shim_sessions gauge$/m,
      "\nshim_sessions_recoverable 2\n",
      '\nshim_tasks{state="queued"} 1\n',
      'shim_save_duration_seconds_bucket{le="0.1"}',
    ),
  );
});

it("only an address on loopback can be named, and a busy port is refused with what to do", async () => {
  const home = aCliHome();
  await home.misuses("doctor metrics", [
    ["--listen 0.0.0.0:9746", /must be a port, or 127\.0\.0\.1/],
    ["--listen 192.168.0.7:9746", /must be a port/],
    ["--listen example.com:80", /must be a port/],
    ["--listen 65536", /must be a port/],
    ["--listen -1", /must be a port/],
  ]);
  const busy = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void busy.close());
  await once(busy, "listening");
  const { port } = busy.address() as AddressInfo;
  const refused = await home.shim(`doctor metrics --listen 127.0.0.1:${port}`);
  expect(refused).toMatchObject(failed(1, `port ${port} is in use; name another with --listen`));
});

it("it serves the metrics to the holder of the token, by each name of loopback, until Ctrl-C", async () => {
  const home = aSeededHome();
  let served = "";
  const code = await whileListening(home, async (url, bearer) => {
    served = url;
    const { port } = new URL(url);
    for (const name of ["127.0.0.1", "localhost", "[::1]"]) {
      const answer = await ask(url, { headers: { ...bearer, host: `${name}:${port}` } });
      expect([answer.status, answer.headers["content-type"]]).toEqual([
        200,
        "text/plain; version=0.0.4; charset=utf-8",
      ]);
      expect(answer.text).toContain("\nshim_sessions_recoverable 2\n");
    }
    expect((await ask(url, { path: "/metrics?name=x", headers: bearer })).status).toBe(200);
  });
  expect(code).toBe(0);
  await expect(ask(served)).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

it("another Host is refused before anything else is read, whatever it brings", async () => {
  await whileListening(aCliHome(), async (url, bearer) => {
    const { port } = new URL(url);
    for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1", "127.0.0.1:1", `127.0.0.1.nip.io:${port}`])
      for (const path of ["/metrics", "/"]) {
        const { status, text } = await ask(url, { path, headers: { ...bearer, host } });
        expect([host, path, status, text.includes("shim_")]).toEqual([host, path, 421, false]);
      }
  });
});

it("without the token, with a wrong or a shorter one, there is nothing", async () => {
  await whileListening(aCliHome(), async (url, { authorization = "" }) => {
    const wrong = [{}, { authorization: "" }, { authorization: "Bearer " }, { authorization: `${authorization}x` }];
    const other = [authorization.slice(0, -1), authorization.replace("Bearer", "Basic"), authorization.slice(7)];
    for (const headers of [...wrong, ...other.map((one) => ({ authorization: one }))]) {
      const answer = await ask(url, { headers });
      expect([headers, answer.status, answer.headers["www-authenticate"]]).toEqual([headers, 401, "Bearer"]);
      expect(answer.text).not.toContain("shim_");
    }
  });
});

it("the token's file is readable by its user only, and the same after a restart; a short one is replaced", async () => {
  const home = aCliHome();
  const tokens: string[] = [];
  const keep = async (): Promise<void> => void tokens.push(tokenOf(home));
  const file = join(home.paths.home, "metrics-token");
  await whileListening(home, keep);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  await whileListening(home, keep);
  writeFileSync(file, "short\n");
  await whileListening(home, keep);
  const [first = "", second, third = ""] = tokens;
  expect(second).toBe(first);
  expect(first).toMatch(/^[\w-]{43}$/);
  expect(third).toMatch(/^[\w-]{43}$/);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});
