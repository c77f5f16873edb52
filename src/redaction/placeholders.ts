import { isMarkerAt } from "./findings.ts";

/** Labels, types, states, and what examples write. Compared whole, in lower case. */
const words = new Set(
  `pass password passwd passphrase passcode pwd secret token key apikey auth authorization credential credentials bearer
  passwort contraseña senha wachtwoord пароль 密码 パスワード motdepasse
  string str number integer boolean bool bytes object any unknown text varchar char null nil none undefined void never
  true false yes no on off required optional hidden invalid missing empty unset default disabled enabled public private
  expired revoked valid masked hashed encrypted plaintext plain field input label value values test testing tests demo
  foo bar baz hello world abc user username admin root guest login signin signup register reset change forgot
  inherit auto basic digest oauth oauth2 oidc saml jwt pat mtls apikeyauth session cookie cookies header query body
  include omit same-origin changeit secretkey`.split(/\s+/),
);

/** Fewer than one in ten thousand random tokens of 64 characters contain one of these. */
const parts =
  /example|sample|placeholder|your[-_ ]|[-_ ]your|^your|change[-_ ]?me|replace[-_ ]?(?:me|with|this)|dummy|fake|\btodo\b|fixme|redact|masked|insert|goes[-_ ]?here|[-_]here$|not[-_ ]?a[-_ ]?(?:real[-_ ]?)?secret|foobar|x{5}|\*{3}|•{3}|\.{3}|…|my[-_]?(?:super[-_]?)?(?:secret|token|password|api|key)|(?:secret|token|api|password)[-_]?(?:value|string)$|test[-_](?:secret|token|key|pass)|^<.*>$|keyboard cat|^abcdefgh/i;

/** Variables, templates, calls, references to a vault or a file. */
const references =
  /^(?:\$(?:[A-Z_][A-Z0-9_]*$|[a-z_]+$|[({[])|\{[\w.]*\}?$|%[\w()]+%?$|@(?:Microsoft|\w+$)|!(?:Ref|Sub|GetAtt|vault)|(?:process|os|import|env|config|cfg|settings|secrets|vars?|this|self|props|options|opts|args|params|req|request|res|response|ctx|context|data|user|account|local|module|module|std|System|Deno|Bun|ENV)\.[A-Za-z_]|(?:op|vault|ssm|awssm|gcpsm|keychain|file|env|secretref|ref\+\w+):|arn:aws|projects\/|https?:\/\/[^?]*$|(?:\.{0,2}|~|[A-Za-z]:)[\\/](?:[\w.@-]+[\\/])*[\w.@-]{0,40}\.[a-z]{1,5}$|\/(?:run|etc|var|home|usr|opt|tmp|mnt|secrets|root|Users)\/)/;
const interpolation = /\$\{|\{\{|<%|#\{/;

/** Keeps examples and configuration readable. */
export function isPlaceholder(value: string): boolean {
  if (value.length < 3 || /^(.)\1*$/su.test(value)) return true;
  if (isMarkerAt(value, 0)) return true;
  if (references.test(value) || interpolation.test(value)) return true;
  return value.length <= 64 && (words.has(value.toLowerCase()) || parts.test(value));
}
