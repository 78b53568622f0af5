// cdk-nag over plain CloudFormation templates: node nag.mjs FOLDER TEMPLATE.json…
// FOLDER holds the node_modules of package.json. Prints a JSON line for each finding (template, rule,
// resource, description) that the template does not suppress in its own Metadata, and ends with 1 if there is
// any.

import { mkdtempSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';

const [folder, ...templates] = process.argv.slice(2);
const load = createRequire(join(resolve(folder), 'package.json'));
const { App, Stack, Validations } = load('aws-cdk-lib');
const { CfnInclude } = load('aws-cdk-lib/cloudformation-include');
const { AwsSolutionsChecks } = load('cdk-nag');

/// Runs `work` without what the libraries say on the terminal.
function quietly(work) {
  const { log, error, warn } = console;
  console.log = console.error = console.warn = () => {};
  try {
    return work();
  } finally {
    Object.assign(console, { log, error, warn });
  }
}

function findingsOf(template) {
  const outdir = mkdtempSync(join(tmpdir(), 'berth-nag-'));
  try {
    const context = {
      '@aws-cdk/core:validationReportJson': true,
      '@aws-cdk/core:validationReportPrettyPrint': false,
    };
    const app = new App({ outdir, context });
    const stack = new Stack(app, 'Stack');
    const document = JSON.parse(readFileSync(template));
    const suppressed = takeSuppressions(document);
    const templateFile = join(outdir, basename(template));
    writeFileSync(templateFile, JSON.stringify(document));
    quietly(() => new CfnInclude(stack, 'T', { templateFile, preserveLogicalIds: true }));
    Validations.of(app).addPlugins(new AwsSolutionsChecks(app, { verbose: false, reports: false }));
    quietly(() => {
      try {
        app.synth();
      } catch (error) {
        // A finding of the level "error" ends the synthesis; the report is there all the same.
        if (!/alidation/.test(String(error.message))) throw error;
      }
    });
    const report = ['validation-report.json', 'policy-validation-report.json']
      .map((name) => join(outdir, name)).find((path) => existsSync(path));
    if (!report) throw new Error(`cdk-nag left no report for ${template}`);
    const out = [];
    const used = new Set();
    for (const { violations = [] } of JSON.parse(readFileSync(report)).pluginReports ?? []) {
      for (const violation of violations) {
        for (const place of violation.violatingConstructs ?? violation.violatingResources ?? []) {
          const resource = place.cloudFormationResource?.logicalId ?? place.resourceLogicalId
            ?? place.constructPath?.split('/').pop();
          const rule = violation.ruleName.replace(/\[.*$/, '');
          used.add(`${resource} ${rule}`);
          if (suppressed.has(`${resource} ${rule}`)) continue;
          out.push({ template: basename(template), rule, resource, description: violation.description });
        }
      }
    }
    for (const place of suppressed) {
      const [resource, rule] = place.split(' ');
      const description = 'The suppression suppresses nothing.';
      if (!used.has(place)) out.push({ template: basename(template), rule, resource, description });
    }
    return out;
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}

/// "Resource Rule" of each suppression that gives a reason (Metadata.cdk_nag, as cdk-nag itself writes it).
/// They are taken out of the document, so that cdk-nag finds everything and a suppression of nothing is seen.
function takeSuppressions(document) {
  const out = new Set();
  for (const [id, resource] of Object.entries(document.Resources)) {
    for (const { id: rule, reason } of resource.Metadata?.cdk_nag?.rules_to_suppress ?? []) {
      if ((reason ?? '').length >= 10) out.add(`${id} ${rule}`);
    }
    delete resource.Metadata;
  }
  return out;
}

let count = 0;
for (const template of templates) {
  for (const finding of findingsOf(template)) {
    console.log(JSON.stringify(finding));
    ++count;
  }
}
process.exitCode = count === 0 ? 0 : 1;
