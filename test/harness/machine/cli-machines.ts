import { expect } from "vitest";
import { writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { addKey, createKey } from "#src/machine/sharing/key-ring.ts";
import { aCliHome, addSession, ids, type CliHome } from "./cli-home.ts";
import { roundOf } from "./host-client.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { SyncServer, tokenOf } from "#harness/sync/sync-server.ts";

const key = createKey((bytes) => new Uint8Array(bytes).fill(7));
const desk = { machine: "desk", isAdmin: false } as const;

export type CliMachines = Awaited<ReturnType<typeof twoCliHomes>>;

/**
 * Two machines of one workspace that share a key: `there` is "desk", `here` is "laptop".
 *
 * @param prepare what each has before it joins, as the clones of one repository
 */
export async function twoCliHomes(prepare: (there: CliHome, here: CliHome) => void) {
  const server = await SyncServer.listen();
  const [there, here] = [aCliHome(), aCliHome()];
  prepare(there, here);
  for (const home of [there, here]) {
    const machine = home === there ? "desk" : "laptop";
    const edge = { url: server.url, workspace: "team", machine, token: tokenOf(machine) };
    writeEdgeConfig(home.paths.home, edge);
    addKey(home.paths.home, edge, key);
    home.alive.add(process.pid);
    home.now = server.host.now();
  }
  return { server, there, here };
}

export async function aHomeOnEdge(): Promise<CliHome> {
  const runtime = await EdgeRuntime.open();
  const { url, workspace, adminToken } = runtime;
  const home = aCliHome();
  const { token } = await runtime.call("tokens.create", { machine: "m1", scope: "work" });
  home.join(url, { workspace, token, adminToken });
  return home;
}

export function aChat(chat: string, machine: string) {
  return { chat, session: chat, process: `boot:${chat}`, client: "test", machine };
}

export async function loseSession({ server, there }: CliMachines, meanwhile: () => Promise<unknown>): Promise<void> {
  addSession(there, { id: ids.dead, pid: 200, title: "fix the parser" });
  const chat = aChat(ids.dead, "desk");
  given(await server.host.call("chats.register", chat, desk));
  await meanwhile();
  given(await server.host.call("chats.attest-death", { chat: ids.dead, machine: "desk", process: chat.process }, desk));
}

export async function sync(home: CliHome): Promise<void> {
  const report = await roundOf(home.runtime);
  expect(report.trouble).toBeNull();
}
