// Takes a Jenkinsfile as a script, notes every step in the order in which it stands, and runs nothing.
// Only the syntax is real: which sections Jenkins allows where, and when it runs them, is not known here.
import org.codehaus.groovy.control.CompilerConfiguration

abstract class Noted extends Script {
    Object getProperty(String name) { name in ['env', 'params'] ? [:].withDefault { "<${name}.${it}>" } : name }

    void setProperty(String name, Object value) { println "${name} = ${value}" }

    Object invokeMethod(String name, Object given) {
        def values = (given as List)
        def plain = values.findAll { !(it instanceof Closure) }
        println([name, *plain].join(' '))
        values.findAll { it instanceof Closure }.each {
            it.delegate = this
            it.resolveStrategy = Closure.DELEGATE_FIRST
            it()
        }
        if (name == 'withCredentials') { println "end ${name}" }
        name
    }
}

def settings = new CompilerConfiguration(scriptBaseClass: Noted.name)
new GroovyShell(this.class.classLoader, new Binding(), settings).evaluate(new File(args[0]))
