#!/bin/sh
# Unpacks the named Debian packages into a root of their own, so that neither a shell nor a package manager comes along.
# Usage: unpack_debian.sh ROOT PACKAGE...
set -eu
root=$1
shift

# As Debian lays out a root: the packages still name the folders both ways.
mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64" "$root/var/lib/dpkg/status.d"
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done

archives=$(mktemp -d)
cd "$archives"
apt-get -qq update
apt-get -qq -o APT::Sandbox::User=root download "$@"
for archive in *.deb; do
  dpkg-deb --fsys-tarfile "$archive" | tar -x --keep-directory-symlink -C "$root"
  # Where scanners look for the packages of an image that has no dpkg.
  dpkg-deb --field "$archive" > "$root/var/lib/dpkg/status.d/$(dpkg-deb --field "$archive" Package)"
done

# Of the documentation, the licences stay.
find "$root/usr/share/doc" -type f ! -name copyright -delete
for folder in bug info lintian locale man; do rm -rf "$root/usr/share/$folder"; done

# What the packages' own scripts would have done.
if [ -d "$root/usr/share/ca-certificates" ]; then
  bundle=/etc/ssl/certs/ca-certificates.crt
  mkdir -p "$root/etc/ssl/certs" "$root/usr/lib/ssl"
  find "$root/usr/share/ca-certificates" -name '*.crt' | LC_ALL=C sort | xargs cat > "$root$bundle"
  ln -s "$bundle" "$root/usr/lib/ssl/cert.pem"
fi
# From here NVIDIA's container runtime makes the linker's cache, once it has added the driver's libraries.
echo 'include /etc/ld.so.conf.d/*.conf' > "$root/etc/ld.so.conf"
echo 'fedward:x:65532:65532:Fedward:/tmp:/usr/sbin/nologin' > "$root/etc/passwd"
echo 'fedward:x:65532:' > "$root/etc/group"
