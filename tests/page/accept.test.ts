import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { type Program, samplesPlayed, startProgram, temporaryFolder } from '../host/program.ts';
import { anObservation } from '../view/an-observation.ts';
import { openTab, phone, picture, rowsOf, skipWithoutBrowser, startBrowser, violationsOn } from './browser.ts';

const tableSchema = z.looseObject({ items: z.array(z.looseObject({})) });

const label = (name: string) => `zen.kube-zen.io/${name}`;

describe.skipIf(skipWithoutBrowser())('the form that accepts a finding', { timeout: 120_000 }, () => {
  let program: Program;
  let without: Program;
  let browser: Browser;
  const config = join(temporaryFolder(), 'config');

  beforeAll(async () => {
    mkdirSync(config);
    program = await startProgram({ args: ['--port', '0', '--data', ':memory:', '--samples', '--config', config] });
    without = await startProgram({ args: ['--port', '0', '--data', ':memory:', '--samples'] });
    for (const { log } of [program, without]) await samplesPlayed(log);
    browser = await startBrowser();
  }, 120_000);

  afterAll(async () => {
    await browser.close();
    await program.stop();
    await without.stop();
  });

  async function open({ url }: Program = program, look = { width: 1360, height: 860, colorScheme: 'light' } as const) {
    const { page } = await openTab(browser, look);
    await page.goto(url);
    await page.getByText('Live', { exact: true }).waitFor();
    return page;
  }

  const openFinding = async (page: Page, name: RegExp) => {
    await page.getByRole('table', { name: 'Findings' }).getByRole('link', { name }).click();
    await page.getByRole('complementary').getByRole('heading', { name }).waitFor();
  };
  const button = (page: Page) => page.getByRole('button', { name: 'Accept' });
  const why = (page: Page) => page.getByLabel('Why');

  it('opens with a button at the head of the finding, and has the focus; Escape in an empty field closes it', async () => {
    const page = await open();
    await openFinding(page, /CVE-2099-0001/);
    expect((await button(page).boundingBox())?.y).toBeLessThan(400);
    await button(page).click();
    await expect.poll(() => page.evaluate('document.activeElement.closest("label")?.textContent')).toBe('Why');
    expect(await why(page).isVisible()).toBe(true);
    expect(await violationsOn(page)).toEqual([]);
    await picture(page, 'accept-form');
    await page.keyboard.type('a');
    await page.keyboard.press('Escape');
    expect(await why(page).inputValue()).toBe('a');
    await page.keyboard.press('Backspace');
    await page.keyboard.press('Escape');
    await why(page).waitFor({ state: 'detached' });
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Accept');
    expect(new URL(page.url()).searchParams.has('finding')).toBe(true);
  });

  it('keeps what was written about each finding while somebody looks at others', async () => {
    const page = await open();
    await openFinding(page, /CVE-2099-0001/);
    await button(page).click();
    await why(page).fill('not reachable');
    await openFinding(page, /CVE-2099-0002/);
    expect(await why(page).count()).toBe(0);
    await openFinding(page, /CVE-2099-0001/);
    await expect.poll(() => why(page).inputValue()).toBe('not reachable');
    await page.getByText('reason: not reachable').waitFor();
  });

  it('says what to do with the YAML: where its file belongs, or how there is a folder for it', async () => {
    const page = await open();
    await openFinding(page, /CVE-2099-0001/);
    await button(page).click();
    const form = page.locator('.accept');
    await form.getByText(`To accept it, save this as a .yaml file in ${config}, the folder of --config`).waitFor();
    await form.getByText('A “rollout” is a Deployment').waitFor();
    const other = await open(without);
    await openFinding(other, /CVE-2099-0001/);
    await button(other).click();
    await other.getByText('save this as a .yaml file in a folder, and start with --config FOLDER').waitFor();
    await other.route('**/observations/session?*', (route) =>
      route.fulfill({ json: { kind: 'cluster', systemNamespace: 'zen-system', mayAccept: true, isRefused: false } }),
    );
    await openFinding(other, /CVE-2099-0002/);
    await button(other).click();
    await other.getByText('Apply it here, or save this as a file, and kubectl apply -f FILE.').waitFor();
  });

  it.each([
    ['forever', ''],
    [String(Date.parse('2031-05-06T23:59:59Z') / 1000), '2031-05-06'],
  ])('begins with what is in force: until %s', async (accepted, day) => {
    const found = anObservation({
      metadata: {
        labels: { [label('state')]: 'open', [label('accepted')]: accepted },
        annotations: { [label('accepted-reason')]: 'behind a proxy' },
      },
    });
    const { page } = await openTab(browser);
    await page.route('**/observations/one?*', (route) => route.fulfill({ json: found }));
    await page.goto(`${program.url}/?finding=shop/accepted`);
    await button(page).click();
    expect(await why(page).inputValue()).toBe('behind a proxy');
    expect(await page.getByLabel('Until').inputValue()).toBe(day);
  });

  it('has room for the ring around a chosen filter, and the cross that clears a search at its end', async () => {
    const page = await open();
    await page.getByRole('link', { name: /^HIGH/ }).click();
    const gap = await page.evaluate(`(() => {
      const [value, nav] = ['.facets .value', '.facets'].map((one) => document.querySelector(one).getBoundingClientRect().left);
      return value - nav;
    })()`);
    expect(gap).toBeGreaterThanOrEqual(4);
    await page.getByLabel('Search in findings').fill('openssl');
    expect(await page.evaluate("getComputedStyle(document.querySelector('#search')).paddingRight")).toBe('10.5px');
    await picture(page, 'search-cross');
  });

  it('cuts no choice off', async () => {
    const page = await open();
    await openFinding(page, /CVE-2099-0001/);
    await button(page).click();
    await page.getByLabel('Because').selectOption('mitigated');
    const widths = await page.evaluate(`(() => {
      const select = document.querySelector('.accept select');
      const style = getComputedStyle(select);
      const context = document.createElement('canvas').getContext('2d');
      context.font = style.font;
      return [context.measureText(select.selectedOptions[0].text).width + 40, select.clientWidth];
    })()`);
    expect(widths).toSatisfy(([text, room]: [number, number]) => text < room);
  });

  it.each(['/?view=all', '/?view=all&finding=shop/x', '/?view=accepted'])(
    'says in full at %s what became of a finding',
    async (path) => {
      const { page } = await openTab(browser);
      await page.route('**/observations/table?*', async (route) => {
        const all = await fetch(route.request().url().replace('view=accepted', 'view=all'));
        const { items, ...table } = tableSchema.parse(await all.json());
        const end = path.includes('accepted') ? { acceptedUntil: Date.UTC(2031, 10, 26) } : { state: 'missing' };
        await route.fulfill({ json: { ...table, items: items.map((item) => ({ ...item, ...end })) } });
      });
      await page.goto(program.url + path);
      await rowsOf(page).first().waitFor();
      const isCut = await page.evaluate(`(() => {
      const cell = document.querySelector('.row .when');
      const text = cell.querySelector('.state');
      return text ? text.scrollWidth > text.clientWidth || text.scrollHeight > text.clientHeight + 1
        : cell.scrollWidth > cell.clientWidth;
    })()`);
      expect(isCut).toBe(false);
      await picture(page, `end-${path.replaceAll(/\W/g, '-')}`);
    },
  );

  it('leaves findings on the first screen of a phone that looks at a workload', async () => {
    const { page } = await openTab(browser, phone);
    await page.goto(`${program.url}/?workload=shop/cart`);
    await rowsOf(page).first().waitFor();
    const bottom = await rowsOf(page)
      .first()
      .evaluate((row) => row.getBoundingClientRect().bottom);
    expect(bottom).toBeLessThan(phone.height);
    await picture(page, 'workload-phone');
    await page.getByText('What it has').click();
    await page.getByRole('region', { name: 'shop/cart' }).getByRole('link', { name: 'trivy' }).waitFor();
  });
});
