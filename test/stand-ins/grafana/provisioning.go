package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// provisioned is what the files below /etc/grafana/provisioning say.
type provisioned struct {
	dataSources []dataSource
	dashboards  []dashboard
}

type dataSource struct {
	ID        int            `yaml:"-" json:"id"`
	UID       string         `yaml:"uid" json:"uid"`
	OrgID     int            `yaml:"orgId" json:"orgId"`
	Name      string         `yaml:"name" json:"name"`
	Type      string         `yaml:"type" json:"type"`
	Access    string         `yaml:"access" json:"access"`
	URL       string         `yaml:"url" json:"url"`
	IsDefault bool           `yaml:"isDefault" json:"isDefault"`
	JSONData  map[string]any `yaml:"jsonData" json:"jsonData"`
	Editable  bool           `yaml:"editable" json:"-"`
	ReadOnly  bool           `yaml:"-" json:"readOnly"`
}

type dashboard struct {
	id                        int
	uid, title, slug          string
	folder, file, description string
	tags                      []string
	model                     map[string]any
}

// readProvisioning stops on files that stop Grafana: what cannot be read as YAML, and data sources that make no sense.
// A dashboard that is no JSON only costs a line in the log.
func readProvisioning(folder string) (*provisioned, error) {
	p := &provisioned{}
	if err := p.readDataSources(filepath.Join(folder, "datasources")); err != nil {
		return nil, fmt.Errorf("Datasource provisioning error: %w", err)
	}
	if err := p.readDashboards(filepath.Join(folder, "dashboards")); err != nil {
		return nil, fmt.Errorf("Dashboard provisioning error: %w", err)
	}
	err := eachYAML(filepath.Join(folder, "alerting"), func(_ string, content []byte) error {
		return yaml.Unmarshal(content, &map[string]any{})
	})
	if err != nil {
		return nil, fmt.Errorf("Alert provisioning error: %w", err)
	}
	return p, nil
}

func (p *provisioned) readDataSources(folder string) error {
	hasDefault := map[int]bool{}
	return eachYAML(folder, func(file string, content []byte) error {
		var parsed struct {
			Datasources []dataSource `yaml:"datasources"`
		}
		if err := yaml.Unmarshal(content, &parsed); err != nil {
			return err
		}
		for _, ds := range parsed.Datasources {
			for _, value := range []*string{&ds.Name, &ds.URL, &ds.UID} {
				*value = expand(*value)
			}
			if ds.Name == "" || ds.Type == "" {
				return fmt.Errorf("%s: datasource.yaml config is invalid: name and type are required", file)
			}
			if ds.Access == "" {
				ds.Access = "proxy"
			}
			if ds.OrgID == 0 {
				ds.OrgID = 1
			}
			if ds.UID == "" {
				ds.UID = generatedUID(ds.Name)
			}
			if ds.IsDefault && hasDefault[ds.OrgID] {
				return fmt.Errorf("datasource.yaml config is invalid. Only one datasource per organization can be marked as default")
			}
			hasDefault[ds.OrgID] = hasDefault[ds.OrgID] || ds.IsDefault
			ds.ID = len(p.dataSources) + 1
			ds.ReadOnly = !ds.Editable
			p.dataSources = append(p.dataSources, ds)
		}
		return nil
	})
}

func (p *provisioned) readDashboards(folder string) error {
	return eachYAML(folder, func(file string, content []byte) error {
		var parsed struct {
			Providers []struct {
				Name    string `yaml:"name"`
				Folder  string `yaml:"folder"`
				Options struct {
					Path               string `yaml:"path"`
					FoldersFromFolders bool   `yaml:"foldersFromFilesStructure"`
				} `yaml:"options"`
			} `yaml:"providers"`
		}
		if err := yaml.Unmarshal(content, &parsed); err != nil {
			return err
		}
		for _, provider := range parsed.Providers {
			if provider.Options.Path == "" {
				return fmt.Errorf("%s: failed to load dashboards, path param is not a string", file)
			}
			root := expand(provider.Options.Path)
			err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
				if err != nil || entry.IsDir() || filepath.Ext(path) != ".json" {
					return err
				}
				folder := provider.Folder
				if provider.Options.FoldersFromFolders && filepath.Dir(path) != root {
					folder = filepath.Base(filepath.Dir(path))
				}
				p.addDashboard(root, path, folder)
				return nil
			})
			if err != nil {
				slog.Error("failed to walk provisioned dashboards", "path", root, "error", err)
			}
		}
		return nil
	})
}

func (p *provisioned) addDashboard(root, path, folder string) {
	failed := func(reason any) { slog.Error("failed to load dashboard from ", "file", path, "error", reason) }
	content, err := os.ReadFile(path)
	if err != nil {
		failed(err)
		return
	}
	var model map[string]any
	if err := json.Unmarshal(content, &model); err != nil {
		failed(err)
		return
	}
	d := dashboard{id: len(p.dashboards) + 1, folder: folder, model: model, tags: []string{}}
	d.title, _ = model["title"].(string)
	d.uid, _ = model["uid"].(string)
	if d.title == "" {
		failed("Dashboard title cannot be empty")
		return
	}
	if d.uid == "" {
		d.uid = generatedUID(d.title)
	}
	if p.dashboard(d.uid) != nil {
		slog.Warn("the same UID is used more than once", "uid", d.uid)
		return
	}
	tags, _ := model["tags"].([]any)
	for _, tag := range tags {
		d.tags = append(d.tags, fmt.Sprint(tag))
	}
	d.slug = slug(d.title)
	d.file, _ = filepath.Rel(root, path)
	p.dashboards = append(p.dashboards, d)
}

func (p *provisioned) dashboard(uid string) *dashboard {
	for i := range p.dashboards {
		if p.dashboards[i].uid == uid {
			return &p.dashboards[i]
		}
	}
	return nil
}

func (p *provisioned) dataSource(uid string) *dataSource {
	for i := range p.dataSources {
		if p.dataSources[i].UID == uid {
			return &p.dataSources[i]
		}
	}
	return nil
}

func eachYAML(folder string, read func(file string, content []byte) error) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		slog.Warn("can't read provisioning files from directory", "path", folder, "error", err)
		return nil
	}
	for _, entry := range entries {
		extension := filepath.Ext(entry.Name())
		if extension != ".yaml" && extension != ".yml" {
			continue
		}
		file := filepath.Join(folder, entry.Name())
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := read(file, content); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

// expand puts in environment variables; $$ is a plain dollar sign.
func expand(value string) string {
	return os.Expand(value, func(name string) string {
		if name == "$" {
			return "$"
		}
		return os.Getenv(name)
	})
}

func generatedUID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "P" + strings.ToUpper(hex.EncodeToString(sum[:8]))
}

var notInSlug = regexp.MustCompile(`[^a-z0-9]+`)

func slug(title string) string {
	return strings.Trim(notInSlug.ReplaceAllString(strings.ToLower(title), "-"), "-")
}
