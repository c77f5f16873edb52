import { DatabaseSync } from "node:sqlite";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { storeRules } from "../../rules/store.ts";
import { storeContentRules, textIndexRules } from "../../rules/store-contents.ts";
import { storeDamageRules } from "../../rules/store-damage.ts";
import { storeSalvageRules } from "../../rules/store-salvage.ts";
import { storeUpkeepRules } from "../../rules/store-upkeep.ts";

storeRules(openNodeSqlite);
storeDamageRules(openNodeSqlite, (path, statement) => {
  const db = new DatabaseSync(path);
  db.enableDefensive(false);
  db.exec(statement);
  db.close();
});
storeContentRules(openNodeSqlite);
storeUpkeepRules(openNodeSqlite);
textIndexRules(openNodeSqlite);
storeSalvageRules(openNodeSqlite);
