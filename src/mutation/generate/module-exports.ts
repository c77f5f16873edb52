import { type AstGrep, parseSource, type SgNode } from "../ast-grep.ts";

export interface Parameter {
  /** Node of the type; null: no annotation. */
  readonly type: SgNode | null;
  /** Text of the default. */
  readonly initial: string | null;
  readonly isOptional: boolean;
  readonly isRest: boolean;
}

export interface ExportedFunction {
  /** `default`: the default export. `module.exports`: the whole CommonJS module. */
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly node: SgNode;
}

export interface ModuleFacts {
  readonly root: SgNode;
  /** Nodes that a name of the top level stands for. */
  readonly declarations: ReadonlyMap<string, SgNode>;
  readonly functions: readonly ExportedFunction[];
}

const functionKinds = ["function_declaration", "function_expression", "arrow_function"];

/** Pure. Generators and classes are not among the functions. */
export function readModule(astGrep: AstGrep, file: string, source: string): ModuleFacts {
  const root = parseSource(astGrep, file, source);
  const declarations = new Map(root.children().flatMap(declarationsOf));
  const exported = root.children().flatMap((node) => exportsOf(node).concat(commonJsExports(node)));
  const functions = exported.flatMap(({ name, node }) => {
    if (!/^[\w$.]+$/.test(name)) return [];
    const isName = node.is("identifier") || node.is("shorthand_property_identifier");
    const target = isName ? declarations.get(node.text()) : node;
    const value = target?.is("variable_declarator") ? target.field("value") : target;
    if (!value || !functionKinds.some((kind) => value.is(kind))) return [];
    return [{ name, node: value, parameters: parametersOf(value) }];
  });
  return { root, declarations, functions: [...new Map(functions.map((one) => [one.name, one])).values()] };
}

interface Export {
  readonly name: string;
  readonly node: SgNode;
}

const declarationKinds = [
  "function_declaration",
  "class_declaration",
  "interface_declaration",
  "type_alias_declaration",
  "enum_declaration",
];

function declarationsOf(statement: SgNode): [string, SgNode][] {
  const node = statement.is("export_statement") ? statement.field("declaration") : statement;
  if (!node) return [];
  const isList = node.is("lexical_declaration") || node.is("variable_declaration");
  const declared = isList ? node.namedChildren().filter((child) => child.is("variable_declarator")) : [node];
  return declared.flatMap((one): [string, SgNode][] => {
    const name = isList || declarationKinds.some((kind) => one.is(kind)) ? one.field("name") : null;
    return name === null ? [] : [[name.text(), one]];
  });
}

function exportsOf(statement: SgNode): Export[] {
  if (!statement.is("export_statement") || statement.field("source") !== null) return [];
  const isDefault = statement.children().some((child) => child.is("default"));
  const value = statement.field("value") ?? statement.field("declaration");
  if (isDefault) return value === null ? [] : [{ name: "default", node: value }];
  const declared = declarationsOf(statement).map(([name, node]) => ({ name, node }));
  const clause = statement.namedChildren().find((child) => child.is("export_clause"));
  const listed = (clause?.namedChildren() ?? []).flatMap((specifier) => {
    const node = specifier.field("name");
    return node === null ? [] : [{ name: (specifier.field("alias") ?? node).text(), node }];
  });
  return [...declared, ...listed];
}

function commonJsExports(statement: SgNode): Export[] {
  const assignment = statement.is("expression_statement") ? statement.namedChildren()[0] : undefined;
  const node = assignment?.field("right") ?? null;
  const target = assignment?.field("left")?.text() ?? "";
  return node === null ? [] : exportsTo(target, node);
}

function exportsTo(target: string, node: SgNode): Export[] {
  const name = /^(?:module\.)?exports\.(\w+)$/.exec(target)?.[1];
  if (name !== undefined) return [{ name, node }];
  if (target !== "module.exports") return [];
  return node.is("object") ? node.namedChildren().flatMap(fieldOf) : [{ name: "module.exports", node }];
}

function fieldOf(field: SgNode): Export[] {
  if (field.is("shorthand_property_identifier")) return [{ name: field.text(), node: field }];
  const [key, value] = [field.field("key"), field.field("value")];
  return key !== null && value !== null ? [{ name: key.text(), node: value }] : [];
}

function parametersOf(node: SgNode): Parameter[] {
  const single = node.field("parameter");
  const list = single === null ? (node.field("parameters")?.namedChildren() ?? []) : [single];
  return list.filter((one) => !one.is("comment") && !one.field("pattern")?.is("this")).map(toParameter);
}

function toParameter(node: SgNode): Parameter {
  const initial = node.field("value")?.text() ?? null;
  const isOptional = node.is("optional_parameter") || initial !== null;
  const [type = null] = node.field("type")?.namedChildren() ?? [];
  return { type, initial, isOptional, isRest: node.field("pattern")?.is("rest_pattern") ?? false };
}
