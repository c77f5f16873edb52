/** A process that does what is due until it is killed, at one time of the schedule after another: `node schedule-child.ts <file> <ms>`. */
import { LocalCoordinator } from "#src/coordinator-client/local/local-coordinator.ts";
import { migrations } from "#src/coordination/schema.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { Store } from "#src/store/store.ts";
import { FakeProcesses } from "#harness/machine/temp-runtime.ts";

const [path = "", start = ""] = process.argv.slice(2);
let at = Number(start);
const now = (): number => at;
const store = new Store({ path, driver: openNodeSqlite, now, migrations });
const coordinator = new LocalCoordinator({ store, processes: new FakeProcesses(), machine: "m1", now });
for (;;) {
  const listed = coordinator.call("schedules.list", {});
  if (!listed.ok) throw new Error(listed.error.message);
  at = listed.value.schedules[0]?.nextAt ?? at;
  console.log(at);
}
