import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { expect, it } from "vitest";
import { ClientRig } from "#harness/clients/chat-rig.ts";
import { codex, copyShim, noModel, otherClients, type RealClient } from "#harness/clients/real-clients.ts";

const clients: readonly RealClient[] = [codex, ...otherClients];

it.each(clients.map((client) => [client.name, client] as const))(
  "%s works on where SHIM's folder goes in the middle of a turn, and in the next chat",
  async (name, client) => {
    const rig = new ClientRig(client);
    const { shim, launcher } = copyShim(rig.root);
    const init = [launcher, "init", "--client", name, "--yes", "--no-link"];
    execFileSync(process.execPath, init, { env: rig.env(noModel) });
    const make = (file: string) => ({ tools: [client.shell(`echo made > ${file}`)] });
    const gone = { tools: [client.shell(`mv "${shim}" "${shim}.gone"`)] };
    await rig.run("make a file", [gone, make("open.txt"), { text: "Done." }]);
    expect([existsSync(shim), existsSync(rig.path("open.txt"))]).toEqual([false, true]);
    const next = await rig.run("make another file", [make("new.txt"), { text: "Done." }]);
    expect(existsSync(rig.path("new.txt"))).toBe(true);
    expect(next.model.requests.filter(({ kind }) => kind === "loop")).toHaveLength(2);
  },
);
