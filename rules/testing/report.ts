import type { ReportFormat } from './report-formats.ts';
import { type CaseResult, type TestReport, uncovered } from './run-cases.ts';

export interface ReportOptions {
  /** A rule without both kinds of cases is a failure. */
  readonly coverage: boolean;
  /** Text names the cases that passed too. */
  readonly verbose: boolean;
}

const FORMATS: Record<ReportFormat, (report: TestReport, options: ReportOptions) => string> = {
  text: textReport,
  tap: tapReport,
  junit: junitReport,
  json: jsonReport,
};

/** The results as text. `report` has no problems. */
export function formatReport(report: TestReport, format: ReportFormat, options: ReportOptions): string {
  return FORMATS[format](report, options);
}

export function failed(report: TestReport, { coverage }: ReportOptions): boolean {
  if (report.results.some(({ failures }) => failures.length > 0)) return true;
  return coverage && uncovered(report.coverage).length > 0;
}

function textReport(report: TestReport, { coverage, verbose }: ReportOptions): string {
  const lines = report.results.flatMap((result) => caseLines(result, verbose));
  const lacking = uncovered(report.coverage);
  for (const { rule, lacks } of coverage || verbose ? lacking : [])
    lines.push(`${coverage ? 'not ok' : '-     '}  rule '${rule}' lacks ${lacks}`);
  return [...lines, summary(report, lacking.length)].join('\n');
}

function caseLines({ title, file, line, failures }: CaseResult, verbose: boolean): string[] {
  if (failures.length === 0) return verbose ? [`ok      ${title}`] : [];
  return [`not ok  ${title}  (${file}:${line})`, ...failures.map((failure) => `          ${failure}`)];
}

function summary({ results, coverage }: TestReport, lacking: number): string {
  const failures = results.filter((result) => result.failures.length > 0).length;
  const passed = `${results.length - failures} of ${count(results.length, 'case')} passed`;
  const hint = lacking === 0 ? '' : ' (--coverage names the others)';
  return `${passed}; ${coverage.length - lacking} of ${count(coverage.length, 'rule')} covered${hint}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** TAP 14: each case a test point, and with `coverage` each rule one more. */
function tapReport(report: TestReport, { coverage }: ReportOptions): string {
  const points = report.results.map(({ title, file, line, failures }) => ({ title, at: `${file}:${line}`, failures }));
  if (coverage) {
    const lacking = new Map(uncovered(report.coverage).map(({ rule, lacks }) => [rule, lacks]));
    for (const { rule } of report.coverage) {
      const lacks = lacking.get(rule);
      points.push({
        title: `rule '${rule}' is covered`,
        at: '',
        failures: lacks === undefined ? [] : [`lacks ${lacks}`],
      });
    }
  }
  const lines = points.flatMap(({ title, at, failures }, index) => [
    `${failures.length === 0 ? 'ok' : 'not ok'} ${index + 1} - ${title.replaceAll('#', '\\#')}`,
    ...(failures.length === 0
      ? []
      : ['  ---', `  at: ${JSON.stringify(at)}`, '  failures:', ...failures.map(tapItem), '  ...']),
  ]);
  return ['TAP version 14', `1..${points.length}`, ...lines].join('\n');
}

function tapItem(failure: string): string {
  return `    - ${JSON.stringify(failure)}`;
}

function junitReport(report: TestReport, { coverage }: ReportOptions): string {
  const suites = [...Map.groupBy(report.results, ({ file }) => file)].map(([file, results]) => {
    const cases = results.map(({ title, line, failures, millis }) =>
      junitCase({ name: title, classname: file, file, line: `${line}`, time: seconds(millis) }, failures),
    );
    return junitSuite(file, cases, results.filter(({ failures }) => failures.length > 0).length);
  });
  if (coverage) {
    const lacking = new Map(uncovered(report.coverage).map(({ rule, lacks }) => [rule, lacks]));
    const cases = report.coverage.map(({ rule }) => {
      const lacks = lacking.get(rule);
      return junitCase({ name: rule, classname: 'coverage' }, lacks === undefined ? [] : [`lacks ${lacks}`]);
    });
    suites.push(junitSuite('coverage', cases, lacking.size));
  }
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<testsuites name="shikra rules test">',
    ...suites,
    '</testsuites>',
  ].join('\n');
}

function junitSuite(name: string, cases: readonly string[], failures: number): string {
  const attributes = attributeText({ name, tests: `${cases.length}`, failures: `${failures}` });
  return [`  <testsuite ${attributes}>`, ...cases, '  </testsuite>'].join('\n');
}

function junitCase(attributes: Readonly<Record<string, string>>, failures: readonly string[]): string {
  const open = `    <testcase ${attributeText(attributes)}`;
  if (failures.length === 0) return `${open}/>`;
  const [first = ''] = failures;
  return `${open}><failure ${attributeText({ message: first })}>${xml(failures.join('\n'))}</failure></testcase>`;
}

function attributeText(attributes: Readonly<Record<string, string>>): string {
  return Object.entries(attributes)
    .map(([name, value]) => `${name}="${xml(value)}"`)
    .join(' ');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\n': '&#10;',
};

/** XML 1.0 has no way to write most control characters. */
function xml(text: string): string {
  return text
    .replace(/[&<>"\n]/g, (character) => ENTITIES[character]!)
    .replace(/[^\t\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd');
}

function seconds(millis: number): string {
  return (millis / 1000).toFixed(6);
}

function jsonReport(report: TestReport, options: ReportOptions): string {
  const cases = report.results.map(({ title, file, line, failures, millis }) => {
    return { title, file, line, ok: failures.length === 0, failures, millis };
  });
  const coverage = report.coverage.map(({ rule, matching, notMatching }) => ({
    rule,
    matching,
    not_matching: notMatching,
  }));
  return JSON.stringify({ ok: !failed(report, options), cases, coverage }, null, 2);
}
