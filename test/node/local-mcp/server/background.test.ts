import { expect, it } from "vitest";
import { Background } from "#src/local-mcp/server/background.ts";
import { FileSaver } from "#src/local-mcp/server/file-saver.ts";
import * as spool from "#src/store/spool.ts";
import { aProject, Claude } from "#harness/machine/claude.ts";
import { connect } from "#harness/machine/mcp-client.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

interface Ticking {
  /** Ticks `times`, two seconds apart. @returns which of them did the work, by their number */
  tick(times: number): number[];
}

async function aBackground(runtime: TempRuntime, claude: Claude): Promise<Ticking> {
  const { chat, server } = await connect(runtime, { clientPid: claude.pid });
  const files = new FileSaver(runtime, chat);
  let ran = 0;
  files.save = () => Promise.resolve(void (ran += 1));
  const background = new Background({ runtime, chat, server, team: null, files });
  return {
    tick: (times) =>
      Array.from({ length: times }, (_, n) => n).filter(() => {
        const before = ran;
        background.tick();
        runtime.wait(2_000);
        return ran > before;
      }),
  };
}

it("[MC18] while nothing changes the background work is done every ten seconds; a commit or a spooled event brings it back", async () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.start();
  claude.turn("fix the parser");
  const background = await aBackground(runtime, claude);
  // The last turn is news for ten seconds.
  expect(background.tick(15)).toEqual([0, 1, 2, 3, 4, 9, 14]);
  const other = tempRuntime({ beside: runtime });
  other.store.write((sql) => sql.run("UPDATE sessions SET title = 'another'"));
  expect(background.tick(3)).toEqual([0, 1, 2]);
  background.tick(10);
  runtime.store.write((sql) => sql.run("UPDATE sessions SET title = 'its own'"));
  expect(background.tick(3)).toEqual([0, 1, 2]);
  background.tick(10);
  const entry = { event: "Notification", clientPid: claude.pid, clientStart: null, input: { session_id: "s" } };
  spool.append(runtime.paths.spool, { at: runtime.now(), ...entry });
  expect(background.tick(2)).toEqual([0, 1]);
});

it("[MC18] a clock that is set back does not stop the work", async () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.start();
  const background = await aBackground(runtime, claude);
  background.tick(12);
  runtime.clock.now -= 86_400_000;
  expect(background.tick(1)).toEqual([0]);
});
