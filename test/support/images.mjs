// What tests of images share: the tool that makes them, Debian's docker-registry on loopback, a base image
// with a node, and the settings by which podman, buildah and npm work on a machine like this one.

import { spawn } from 'node:child_process';
import {
  appendFileSync, chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execute, packages, root, until } from './berth.mjs';

export const imageTool = process.env.BERTH_IMAGE_TOOL ?? ['build/dev', 'build/release']
  .map((build) => join(root, build, 'test/aws/support/image_tool')).find((path) => existsSync(path));
export const node = (existsSync(packages) ? readdirSync(packages) : [])
  .filter((name) => name.startsWith('node-linux-')).map((name) => join(packages, name, 'bin/node'))
  .find((file) => existsSync(file));

const works = (name, ...words) => execute(name, words).then(({ code }) => code === 0, () => false);
export const has = {
  registry: await works('docker-registry', '--version'),
  podman: await works('podman', '--version'),
  buildah: await works('buildah', '--version'),
  npm: await works('npm', '--version'),
};

/// How npm finds its registry on this machine, for projects that have a home of their own: its settings, a
/// proxy, an authority to trust. Packages come from its cache where it has them.
const { HOME, HTTPS_PROXY, https_proxy: proxy = HTTPS_PROXY } = process.env;
const isForNpm = ([name]) => /^npm_config_/i.test(name) || /^NODE_(OPTIONS|EXTRA_CA_CERTS)$/.test(name);
export const npmEnvironment = {
  npm_config_userconfig: join(HOME, '.npmrc'), ...(proxy ? { npm_config_https_proxy: proxy } : {}),
  ...Object.fromEntries(Object.entries(process.env).filter(isForNpm)),
  npm_config_prefer_offline: 'true', npm_config_cache: join(HOME, '.npm'),
};

const freePort = () => new Promise((done) => {
  const listener = createServer().listen(0, '127.0.0.1', () => {
    const { port } = listener.address();
    listener.close(() => done(port));
  });
});

/// A folder with everything that tests of images keep; `end` removes it and what was started.
export class Workshop {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'berth-images-'));
    this.running = [];
    mkdirSync(this.path('home'));
    // Podman with a store of its own, and limits that a machine without CAP_SYS_RESOURCE can give.
    this.containers = {
      CONTAINERS_CONF: this.write('containers.conf', '[containers]\n' +
        'default_ulimits = ["nofile=20000:20000", "nproc=30000:30000"]\n' +
        'log_driver = "k8s-file"\n[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\n' +
        'events_logger = "file"\n'),
      CONTAINERS_STORAGE_CONF: this.write('storage.conf', '[storage]\ndriver = "overlay"\n' +
        `graphroot = "${this.path('podman')}"\nrunroot = "${this.path('podman-run')}"\n`),
      CONTAINERS_REGISTRIES_CONF: this.path('registries.conf'),
      BUILDAH_ISOLATION: 'chroot', DOCKER_HOST: 'unix:///nowhere',
    };
    this.environment = { ...process.env, ...this.containers, HOME: this.path('home') };
  }

  path(...parts) {
    return join(this.folder, ...parts);
  }

  write(name, text) {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), text);
    return this.path(name);
  }

  /// Debian's docker-registry; its host:port. `more`: lines for its configuration.
  async startRegistry(name, more = '') {
    const port = await freePort();
    const config = this.write(`${name}.yml`, 'version: 0.1\n' +
      'log: {level: error, accesslog: {disabled: true}}\n' +
      `storage: {filesystem: {rootdirectory: ${this.path(name)}}, delete: {enabled: true}}\n` +
      `http: {addr: "127.0.0.1:${port}", secret: test}\n${more}`);
    this.running.push(spawn('docker-registry', ['serve', config], { stdio: 'ignore' }));
    await until('the registry answers', () => fetch(`http://127.0.0.1:${port}/v2/`));
    appendFileSync(this.path('registries.conf'),
      `[[registry]]\nlocation = "127.0.0.1:${port}"\ninsecure = true\n`);
    return `127.0.0.1:${port}`;
  }

  /// Runs image_tool. {…what it printed, ms}; `error` among it when it failed.
  async tryImage(verb, options, input = '') {
    const words = Object.entries(options).map(([name, value]) => `${name}=${value}`);
    const ran = await execute(imageTool, [verb, ...words],
      { env: { ...this.environment, ...npmEnvironment }, input, timeout: 300_000 });
    if (!ran.out) throw new Error(`image_tool printed nothing: ${ran.err}`);
    return { ...JSON.parse(ran.out), ms: ran.milliseconds };
  }

  async image(verb, options, input) {
    const made = await this.tryImage(verb, options, input);
    if (made.error !== undefined) throw new Error(made.error);
    return made;
  }

  /// A base image in `registry` of a node and the libraries that it needs; its reference.
  async pushNode(registry) {
    const { out } = await execute('ldd', [node]);
    for (const library of out.match(/\/[^ \n]+/g)) {
      mkdirSync(dirname(this.path('rootfs', library)), { recursive: true });
      copyFileSync(library, this.path('rootfs', library));
      chmodSync(this.path('rootfs', library), 0o755);
    }
    mkdirSync(this.path('rootfs/usr/local/bin'), { recursive: true });
    copyFileSync(node, this.path('rootfs/usr/local/bin/node'));
    const reference = `${registry}/node:22`;
    const directory = this.path('rootfs');
    await this.image('base', { store: this.path('store-base'), directory, push: reference });
    return reference;
  }

  podman(...words) {
    return execute('podman', words, { env: this.environment, timeout: 120_000 });
  }

  async end() {
    for (const child of this.running) child.kill('SIGKILL');
    if (has.podman && existsSync(this.path('podman'))) await this.podman('rm', '--all', '--force');
    // Podman leaves its graph folder mounted upon itself.
    await execute('umount', ['--lazy', this.path('podman/overlay')]).catch(() => {});
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}
