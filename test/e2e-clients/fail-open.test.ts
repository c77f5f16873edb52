import { execFileSync } from "node:child_process";
import { cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ClientRig } from "#harness/clients/chat-rig.ts";
import { codex, noModel, otherClients, type RealClient } from "#harness/clients/real-clients.ts";

const root = join(import.meta.dirname, "..", "..");

/** A copy of SHIM that the client's entries lead to, in a folder with a blank and an umlaut. */
function anOwnCopy(rig: ClientRig): string {
  const shim = join(rig.root, "Jürgen's shim");
  for (const name of ["bin", "dist", "plugin", "package.json"])
    cpSync(join(root, name), join(shim, name), { recursive: true });
  const args = [join(shim, "bin", "shim.mjs"), "init", "--client", rig.client.name, "--yes", "--no-link"];
  execFileSync(process.execPath, args, { env: rig.env(noModel) });
  return shim;
}

const clients: readonly RealClient[] = [codex, ...otherClients];

it.each(clients.map((client) => [client.name, client] as const))(
  "%s works on where SHIM's folder goes in the middle of a turn, and in the next chat",
  async (_name, client) => {
    const rig = new ClientRig(client);
    const shim = anOwnCopy(rig);
    const make = (name: string) => ({ tools: [client.shell(`echo made > ${name}`)] });
    const gone = { tools: [client.shell(`mv "${shim}" "${shim}.gone"`)] };
    await rig.run("make a file", [gone, make("open.txt"), { text: "Done." }]);
    expect(existsSync(join(rig.project, "open.txt"))).toBe(true);
    expect(existsSync(shim)).toBe(false);
    const next = await rig.run("make another file", [make("new.txt"), { text: "Done." }]);
    expect(existsSync(join(rig.project, "new.txt"))).toBe(true);
    expect(next.model.requests.filter(({ kind }) => kind === "loop")).toHaveLength(2);
  },
);
