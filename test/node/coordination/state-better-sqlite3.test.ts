import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { messageHintRules } from "../../rules/message-rows.ts";
import { taskHintRules } from "../../rules/task-rows.ts";
import { rowSuites, stateSuites } from "../../rules/suites.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";

const open = (): Promise<LocalHost> => Promise.resolve(new LocalHost(openBetterSqlite3));

stateSuites(open);
rowSuites(open);
messageHintRules(open);
taskHintRules(open);
