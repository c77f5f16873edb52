import { join } from "node:path";
import * as elsewhere from "#src/machine/sharing/sessions-elsewhere.ts";
import type { SessionElsewhere } from "#src/machine/sharing/sessions-elsewhere.ts";
import * as news from "#src/machine/sessions/news.ts";
import { aProject, Claude } from "#harness/machine/claude.ts";
import { MachineHome, Machines, project, workspace } from "./machines.ts";

export const minute = 60_000;

/** `there` the session `dead` has died, `here` is the chat. */
export type World = Awaited<ReturnType<typeof aWorld>>;

/** A chat on one machine works on a file, its state is mirrored; then it is killed. A chat on another machine has started. */
export async function aWorld(
  options: { readonly isDead?: boolean; readonly isKnown?: boolean; readonly prompt?: string } = {},
) {
  const world = new Machines();
  const there = await world.add("desk");
  const here = await world.add("laptop");
  const dead = new Claude(there.runtime, { cwd: aProject(), session: "aaaa1111-0000-4000-8000-000000000001" });
  dead.turn(options.prompt ?? "fix the parser");
  dead.write(join(dead.cwd, "parser.ts"), "export const parser = 1;\n");
  dead.stop("The tokenizer drops the last line.");
  dead.prompt("and the lexer");
  const member = options.isKnown === false ? null : await there.join(dead.session);
  await there.mirror(dead.session);
  if (options.isDead !== false && options.isKnown !== false) await there.attest(dead.session);
  dead.kill();
  const chat = new Claude(here.runtime, { cwd: aProject(), session: "bbbb2222-0000-4000-8000-000000000002" });
  chat.start();
  world.wait(5 * minute);
  if (options.isDead === false) await member?.link.call("chats.heartbeat", {}, 1_000);
  await here.pull();
  const reach = { ...(await here.join(chat.session)), here: { root: chat.cwd, project } };
  return { world, there, here, dead, chat, reach };
}

/** A chat on a third machine, which has pulled what the others have sealed. */
export async function aRival({ world }: Pick<World, "world">) {
  const here = await world.add("tower");
  const chat = new Claude(here.runtime, { cwd: aProject(), session: "cccc3333-0000-4000-8000-000000000003" });
  chat.start();
  await here.pull();
  return { here, chat, reach: await here.join(chat.session) };
}

export function rowOf({ here }: Pick<World, "here">, { session }: Claude): SessionElsewhere {
  const [row] = here.runtime.store.read((sql) => elsewhere.list(sql, workspace, { session }), []);
  if (!row) throw new Error(`nothing is known of ${session}`);
  return row;
}

export function newsOf(home: MachineHome, session: string): news.News[] {
  return home.runtime.store.read((sql) => news.undelivered(sql, session, 20), []).map((row) => row.news);
}
