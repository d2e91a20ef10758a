-- Pages out of a text with places in it: "{name}" is replaced by the value of that name, made harmless for HTML;
-- "{{name}}" by HTML that a template has made.

local html = {}

local MEANT = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

function html.text(value)
    return (tostring(value):gsub("[&<>\"']", MEANT))
end

-- Every name must have a value: a page with a hole in it is a mistake of the template.
function html.fill(template, values)
    local function value(name)
        local v = values[name]
        if v == nil then error(("the page has no value for %q"):format(name), 3) end
        return v
    end
    return (template:gsub("{{([%w_]+)}}", function(name) return (tostring(value(name)):gsub("[{}]", { ["{"] = "\1", ["}"] = "\2" })) end)
        :gsub("{([%w_]+)}", function(name) return html.text(value(name)) end)
        :gsub("[\1\2]", { ["\1"] = "{", ["\2"] = "}" }))
end

-- The template once for each row of a list.
function html.each(template, rows)
    local out = {}
    for i, row in ipairs(rows) do out[i] = html.fill(template, row) end
    return table.concat(out, "\n")
end

return html
