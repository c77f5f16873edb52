import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { messageHintRules } from "../../rules/message-rows.ts";
import { taskHintRules } from "../../rules/task-rows.ts";
import { rowSuites, stateSuites } from "../../rules/suites.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";

const open = (): Promise<LocalHost> => Promise.resolve(new LocalHost(openNodeSqlite));

stateSuites(open);
rowSuites(open);
messageHintRules(open);
taskHintRules(open);
