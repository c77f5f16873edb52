import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { expect, it } from "vitest";
import { clientNames, detect, type ClientTarget } from "#src/installer/targets.ts";
import { aCliHome, type CliHome } from "#harness/machine/cli-home.ts";

const folders = ".claude .codex .copilot/hooks .config/Claude .config/opencode/plugin .qwen .gemini".split(" ");

/** A machine with every client, each with files of the user's own in this state. */
function aHomeWithClients(state: State): { readonly home: CliHome; readonly targets: readonly ClientTarget[] } {
  const home = aCliHome();
  for (const folder of folders) mkdirSync(join(home.folder, folder), { recursive: true });
  const targets = detect(home.io().machine);
  expect(targets.map(({ client }) => client).toSorted()).toEqual(clientNames.toSorted());
  for (const target of targets) {
    const text = states[state];
    if (text === null) continue;
    for (const path of filesOf(target).filter((path) => !isShimsAlone(path))) {
      writeFileSync(path, path.endsWith(".toml") ? text.toml : text.json);
      if (state === "read-only") chmodSync(path, 0o400);
    }
  }
  return { home, targets };
}

const own = {
  json: '{\n  "mcpServers": { "mine": { "command": "x" } },\n  "mcp": {}\n}\n',
  toml: '[mcp_servers.mine]\ncommand = "x"\n',
};
const states = {
  absent: null,
  empty: { json: "", toml: "" },
  blank: { json: "{}\n", toml: "\n" },
  comments: { json: '{\n  // mine\n  "mcpServers": {},\n}\n', toml: '# mine\nmodel = "x"\n' },
  "own servers": own,
  "read-only": own,
} as const;
type State = keyof typeof states;
const stateNames = Object.keys(states) as State[];

const damages = {
  broken: (path: string) => writeFileSync(path, "{ broken = "),
  "not UTF-8": (path: string) => writeFileSync(path, Buffer.from([0x7b, 0xff, 0x7d])),
  "a wrong shape": (path: string) =>
    writeFileSync(path, path.endsWith(".toml") ? "mcp_servers = 1\n" : '{ "mcpServers": 1, "mcp": 1, "hooks": 1 }'),
  "a write that fails": (path: string) => mkdirSync(join(dirname(path), `.${basename(path)}.shim-${process.pid}.tmp`)),
} as const;
type Damage = keyof typeof damages;

function filesOf({ serversFile, settingsFile }: ClientTarget): string[] {
  return [serversFile, settingsFile].filter((path) => path !== null);
}

function isShimsAlone(path: string): boolean {
  return /hooks\/shim\.json$|plugin\/shim\.js$/.test(path);
}

function textsIn(paths: readonly string[]): (string | null)[] {
  return paths.map((path) => (existsSync(path) && statSync(path).isFile() ? readFileSync(path, "latin1") : null));
}

/** Not all clients read comments, and `init` says so. */
async function connectAll(home: CliHome, state: State): Promise<void> {
  const code = state === "comments" ? 1 : 0;
  expect(await home.codes("init --yes --no-trust")).toEqual([code]);
}

it("uninstall removes SHIM from every client, whatever files of their own they had @night", async () => {
  for (const state of stateNames) {
    const { home, targets } = aHomeWithClients(state);
    const paths = targets.flatMap(filesOf);
    const before = textsIn(paths);
    await connectAll(home, state);
    const ran = await home.shim("init --remove --yes");
    expect([state, ran.code, ran.err]).toEqual([state, 0, ""]);
    expect([state, textsIn(paths)]).toEqual([state, before]);
  }
});

it("a client whose file cannot be changed is named with its reason; all others lose SHIM @night", async () => {
  const kinds = Object.keys(damages) as Damage[];
  for (const [at, client] of clientNames.entries()) {
    const damage = kinds[at % kinds.length] ?? "broken";
    const state = stateNames[at % stateNames.length] ?? "absent";
    const { home, targets } = aHomeWithClients(state);
    await connectAll(home, state);
    const target = targets.find((one) => one.client === client) ?? expect.unreachable();
    const path = filesOf(target).findLast((file) => !isShimsAlone(file)) ?? "";
    damages[damage](path);
    const damaged = textsIn(filesOf(target));
    const dry = await home.shim("init --remove --dry-run");
    expect([client, dry.code]).toEqual([client, damage === "a write that fails" ? 0 : 1]);
    const ran = await home.shim("init --remove --yes");
    expect([ran.code, ran.out]).toEqual([1, expect.stringContaining(`${target.label} still has SHIM: ${path}`)]);
    expect(textsIn(filesOf(target))).toEqual(damaged);
    const others = targets.filter((one) => one !== target).flatMap(filesOf);
    expect(textsIn(others).filter((text) => text !== null && /shim\.mjs|hook\.cjs/.test(text))).toEqual([]);
    const message: unknown = expect.stringContaining(path);
    expect((await home.json("init --remove --yes"))["problems"]).toEqual([{ client, label: target.label, message }]);
  }
});

it("while a client still has SHIM the command, its copy and the stored data stay, --data or not", async () => {
  const { home, targets } = aHomeWithClients("absent");
  const env = { ...home.runtime.env, PATH: "/usr/bin:/bin" };
  const machine = { ...home.io().machine, env };
  expect((await home.shimWith({ env, machine }, "init --yes --no-trust")).code).toBe(0);
  const desktop = targets.find(({ client }) => client === "claude-desktop")?.serversFile ?? "";
  const text = readFileSync(desktop, "utf8");
  damages.broken(desktop);
  const link = join(home.folder, ".local", "bin", "shim");
  const ran = await home.shimWith({ env, machine }, "init --remove --yes --data");
  expect([ran.code, ran.out]).toEqual([1, expect.stringContaining("removes the rest after that")]);
  expect([existsSync(home.paths.home), readdirSync(dirname(link))]).toEqual([true, ["shim"]]);
  writeFileSync(desktop, text);
  expect((await home.shimWith({ env, machine }, "init --remove --yes --data")).code).toBe(0);
  expect([existsSync(home.paths.home), existsSync(link), existsSync(desktop)]).toEqual([false, false, false]);
});
